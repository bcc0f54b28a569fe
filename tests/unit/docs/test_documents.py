"""The documents name what is there: files, other pages and their headings."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_CODE_BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
#: What looks like a file of the project: it begins with a folder of the project. With a line, it is a measurement's.
_NAMED = re.compile(
    r"(?<![\w./{-])((?>(?:aws_client|bench|betting|docs|examples|faust_kinesis|infra|kinfold|ledger|projector|simulation"
    r"|stream_bridge|tests|writer)/[\w./-]*\w/?))(?![\w*{]|:\d)"
)


def without_code(text: str) -> str:
    return _CODE_BLOCK.sub("", text)


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made on GitHub."""
    found = re.findall(r"^#+ (.*)$", without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def broken_links(page: Path) -> list[str]:
    broken = []
    for target, heading in _LINK.findall(without_code(page.read_text())):
        place = page.parent / target if target else page
        if not place.exists() or (heading and heading not in headings(place)):
            broken.append(f"{target}#{heading}")
    return broken


def missing_files(page: Path) -> list[str]:
    """Names of files that are not there; a folder may be named without its last part, and a module without its end."""
    return [
        name
        for name in _NAMED.findall(page.read_text())
        if not any((ROOT / f"{name}{end}").exists() for end in ("", ".py"))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    assert missing_files(page) == []


def test_what_is_broken_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n[a](#a-page) [b](#b) [c](c.md) `ledger/errors.py`, ledger/domain/events.py\n")
    assert broken_links(page) == ["#b", "c.md#"]
    assert missing_files(page) == ["ledger/domain/events.py"]
