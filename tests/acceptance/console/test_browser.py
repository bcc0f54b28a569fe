"""The console as an operator meets it: in a browser, on a desk, on a phone, and with scripts switched off."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from projector.engine.control_rows import Generations
from tests.acceptance.console.browser import NEEDS_CHROMIUM, Visitor, chromium
from tests.acceptance.console.conftest import TOKEN, Ledger
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.acceptance, pytest.mark.integration, NEEDS_CHROMIUM]

PHONE = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
#: By the name of its picture in docs/console.md.
SCREENS = {
    "overview": "/",
    "aggregates": "/aggregates",
    "halted-aggregates": "/aggregates?halted=yes",
    "aggregate": "/aggregates/account/alice",
    "halted-aggregate": "/aggregates/account/mallory",
    "step": "/aggregates/account/alice/steps/30",
    "bad-step": "/aggregates/account/mallory/steps/2",
    "read-models": "/read-models",
    "stream": "/stream",
    "dead-letters": "/dead-letters",
    "dead-letter": "/dead-letters/balance-summary~mallory~2",
    "bridge": "/bridge",
    "activity": "/activity",
    "operation": "/operations/skip?letterId=balance-summary~mallory~2",
    "missing": "/nowhere",
}
#: A folder for pictures of the screens: `make screenshots`.
PICTURES = os.environ.get("SCREENSHOTS")
SHOWN = (Path(__file__).parents[3] / "docs" / "console.md").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE * 1000)
    with chromium() as browser:
        yield browser


def take_picture(page: Page, path: str) -> None:
    """Of what there is to see, no emptier than that, and of a long page the beginning."""
    end = page.evaluate("document.getElementById('main').getBoundingClientRect().bottom")
    width = page.evaluate("innerWidth")
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": min(end, 1000)})


def sign_in(visitor: Visitor, token: str = TOKEN) -> Page:
    page = visitor.page
    page.goto("/")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    return page


@pytest.mark.parametrize("window", [{}, PHONE], ids=["desktop, light", "phone, dark"])
def test_every_screen_is_within_reach_and_asks_nobody_else(browser: Browser, ledger: Ledger, window: Any) -> None:
    visitor = Visitor(browser, ledger.url, **window)
    assert visitor.page.goto("/") is not None
    assert visitor.barriers() == []
    page = sign_in(visitor)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    # What is looked at in the background is there by now, for whoever wants pictures.
    expect(page.get_by_role("status").first).to_contain_text("Looked at")
    # A rate takes two looks.
    expect(page.get_by_text("not known")).to_have_count(0)
    for name, screen in SCREENS.items():
        page.goto(screen)
        assert visitor.barriers() == [], screen
        if PICTURES and not window and f"console/{name}.png" in SHOWN:
            take_picture(page, f"{PICTURES}/{name}.png")
    assert visitor.hosts == {urlsplit(ledger.url).netloc}
    assert visitor.complaints == []
    visitor.close()


def test_a_token_that_is_none_is_refused_and_signing_out_ends_it(browser: Browser, ledger: Ledger) -> None:
    visitor = Visitor(browser, ledger.url)
    page = sign_in(visitor, "kf_guessed")
    expect(page.get_by_role("alert")).to_contain_text("no token of this console's")
    page = sign_in(visitor)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    page.goto("/dead-letters")
    expect(page.get_by_label("Token")).to_be_visible()
    visitor.close()


def test_a_fold_is_stepped_through(browser: Browser, ledger: Ledger) -> None:
    visitor = Visitor(browser, ledger.url)
    page = sign_in(visitor)
    page.get_by_role("link", name="Aggregates").click()
    page.get_by_label("Id or key").fill("alice")
    page.get_by_label("Id or key").press("Enter")
    expect(page.get_by_role("heading", name="account alice")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("balance-summary.balance from"))).to_be_visible()
    page.get_by_role("link", name="step 61").click()
    page.get_by_role("link", name="first").click()
    page.get_by_role("link", name="after").click()
    assert page.url.endswith("/aggregates/account/alice/steps/2")
    changed = page.get_by_role("row", name=re.compile(r"^balance 100\.00 101\.00 changed"))
    expect(changed).to_have_count(3)
    slider = page.get_by_label("Version")
    slider.focus()
    slider.press("End")
    page.wait_for_url("**/steps/61")
    visitor.close()


def test_what_was_opened_stays_open_when_a_live_part_comes_anew(browser: Browser, ledger: Ledger) -> None:
    visitor = Visitor(browser, ledger.url)
    page = sign_in(visitor)
    page.goto("/aggregates/account/alice")
    for opened in (True, False):
        page.get_by_text(re.compile(r"^day .*: the last 30$")).click()
        page.locator("details").evaluate("each => each.className = 'of-before'")
        page.get_by_role("heading", name="account alice").click()  # a live part that has the focus is left alone
        expect(page.locator(".of-before")).to_have_count(0)
        expect(page.locator("details[open]")).to_have_count(int(opened))
    visitor.close()


def test_a_halted_account_is_mended_and_redriven_and_the_read_models_are_rebuilt(
    browser: Browser, ledger: Ledger
) -> None:
    visitor = Visitor(browser, ledger.url)
    page = sign_in(visitor)
    expect(page.get_by_role("status").first).to_contain_text("not healthy")
    page.get_by_role("link", name="Dead letters").click()
    page.get_by_role("link", name="balance-summary~mallory~2").click()
    expect(page.get_by_role("row", name=re.compile(r"^raw .*amount.*ten"))).to_be_visible()
    ledger.mend()
    page.goto("/dead-letters")
    page.get_by_role("link", name="Redrive all").click()
    expect(page.get_by_text("kinfold projector dead-letters redrive --all")).to_be_visible()
    page.get_by_role("button", name="Redrive").click()
    # The page follows the command by itself.
    expect(page.get_by_role("status")).to_contain_text("Done")
    page.goto("/aggregates/account/mallory")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("balance: 110.00")).to_have_count(2)

    page.goto("/read-models")
    page.get_by_role("link", name="Rebuild…", exact=True).click()
    page.get_by_label("Read model").fill("balance-summary")
    page.get_by_role("button", name="Rebuild").click()
    expect(page.get_by_role("status")).to_contain_text("Done")
    assert Generations(ledger.clients.dynamodb, ledger.names.projections).read("balance-summary").active == 2
    page.goto("/activity")
    for action in ("projector rebuild", "projector dead-letters redrive"):
        row = page.get_by_role("row", name=re.compile(rf"op@console {action} "))
        expect(row).to_contain_text("done")
    visitor.close()


def test_all_but_live_parts_works_without_scripts(browser: Browser, ledger: Ledger) -> None:
    visitor = Visitor(browser, ledger.url, java_script_enabled=False)
    page = sign_in(visitor)
    page.get_by_role("link", name="Aggregates").click()
    page.get_by_role("link", name="account alice").click()
    page.get_by_role("link", name="step 61").click()
    expect(page.get_by_role("heading", name="account alice: event 61 of 61")).to_be_visible()
    page.goto("/operations/verify?projection=daily-activity")
    page.get_by_role("button", name="Show the command").click()
    expect(page.get_by_text("kinfold projector verify --projection=daily-activity")).to_be_visible()
    page.get_by_role("button", name="Verify").click()
    for _ in range(600):
        if "Under way" not in page.get_by_role("status").inner_text():
            break
        page.wait_for_timeout(200)
        page.get_by_role("link", name="Load the page again").click()
    expect(page.get_by_role("status")).to_contain_text("Done")
    visitor.close()
