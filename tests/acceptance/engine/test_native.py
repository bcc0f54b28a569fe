"""The reference environment as it stands: native destination and KCL, lived in and disturbed.

Then by polling, without Java, and closed to callers without a token.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.containers.compose_project import ComposeProject, Started
from tests.support.containers.disturbances import disturb, loaded
from tests.support.containers.manners import assert_asks_for_a_token, assert_confined, assert_stops_in_time
from tests.support.documents.sessions import FIRST, statuses

pytestmark = [pytest.mark.acceptance, pytest.mark.engine, pytest.mark.timeout(1800)]

SERVICES: Final = ("projector", "writer", "watch", "console")
#: The watch is disturbed in `test_relay.py`.
DISTURBED: Final = ("projector", "writer")
SCOPES: Final = [word for scope in ("read", "write", "operate") for word in ("--scope", scope)]


@pytest.fixture(scope="module")
def project(started: Started, request: pytest.FixtureRequest) -> Iterator[ComposeProject]:
    with started() as project:
        # For later, while what it is made from is at hand: a build without the cache puts its own in place of that.
        request.getfixturevalue("polling_image")
        yield project


def test_the_first_session_of_the_readme(project: ComposeProject, checkout: Path) -> None:
    found = statuses(FIRST, checkout, writer=project.url("writer"), projector=project.url("projector"))
    assert found == FIRST.answers


def test_the_console_shows_it_all(project: ComposeProject) -> None:
    page = project.http.get(f"{project.url('console')}/read-models")
    assert (page.status_code, "balance-summary" in page.text) == (200, True)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_confined(project: ComposeProject, service: str) -> None:
    assert_confined(project, service)


def test_each_service_is_disturbed_under_load(project: ComposeProject) -> None:
    with loaded(project, "disturbed") as load:
        disturb(project, load, *DISTURBED)


def test_polling_goes_on_where_kcl_was_and_tokens_are_asked_for(project: ComposeProject, polling_image: str) -> None:
    made = json.loads(project.kinfold("writer", "token", "test", *SCOPES, "--json").stdout)
    tokens = {"KINFOLD_ACCESS": "tokens", "KINFOLD_TOKENS": made["setting"], "KINFOLD_TOKEN": made["token"]}
    project.up(KINFOLD_IMAGE=polling_image, KINFOLD_CONSUMER="polling", **tokens)
    with loaded(project, "switched"):
        assert_asks_for_a_token(project, *SERVICES)
    assert_stops_in_time(project, *SERVICES)
