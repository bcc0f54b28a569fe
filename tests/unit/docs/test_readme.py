"""README.md: short, readable as plain text, and its code is code."""

import re
from pathlib import Path
from typing import Any, Final

from ledger.aggregates.aggregate_type import Aggregate
from ledger.store.stored_event import StoredEvent
from tests.support.documents.fenced_blocks import blocks

README: Final = (Path(__file__).parents[3] / "README.md").read_text()


def test_it_is_short_and_plain() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 130
    assert "mermaid" not in README
    # A name of a file can be read where a relative link leads nowhere.
    assert re.findall(r"\]\((?!https?:)", README) == []


def test_it_names_every_page() -> None:
    pages = {f"docs/{page.name}" for page in (Path(__file__).parents[3] / "docs").glob("*.md")}
    assert pages - set(re.findall(r"docs/\w+\.md", README)) == set()


def test_its_aggregate_and_its_projection_fold() -> None:
    code: dict[str, Any] = {}
    for language, block in blocks(README):
        if language == "python":
            exec(block, code)  # in one module, as a reader would have it
    kind, projection, event = code["MEMBER"], code["POINTS_BALANCE"], code["PointsEarned"]
    alice, balance = Aggregate.new(kind, "alice"), None
    for number, points in enumerate((70, 30), 1):
        earned = event(points=points)
        at = f"2026-01-0{number}T00:00:00.000000+00:00"
        stored = StoredEvent(alice.key, number, kind.name, earned.event_type, earned.payload(), at, "test")
        alice.apply(stored.decode(kind))
        balance = projection.after(balance, stored)
    assert (alice.key, alice.version, alice.state.points) == ("member~alice", 2, 100)
    shown = projection.columns.to_json(balance)
    assert shown == {"points": 100, "lastEarnedAt": "2026-01-02T00:00:00.000000+00:00"}
