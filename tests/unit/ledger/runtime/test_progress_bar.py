"""How far work is where standard error is no terminal: lines of the log, with what is known, and nothing on stdout."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from ledger.runtime import progress_bar
from ledger.runtime.logs import configure_logs
from ledger.runtime.measuring.capacity import CapacityUnits, Units
from ledger.runtime.progress_bar import ProgressBars
from tests.support.waiting import until

Line = dict[str, object]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "EVERY", 0.02)


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    """What is logged under the name progress."""
    with structlog.testing.capture_logs() as logged:
        yield logged  # type: ignore[misc]


def test_a_line_now_and_then_says_how_far_how_fast_and_how_long(
    lines: list[Line], capsys: pytest.CaptureFixture[str]
) -> None:
    units = CapacityUnits()
    with ProgressBars(units) as progress:
        progress.begin("summary", "reading", 1000, 400)
        first = until(lambda: lines[-1:])[0]
        assert {name: first.get(name) for name in ("event", "work", "phase", "done", "of", "read_units")} == {
            "event": "progress", "work": "summary", "phase": "reading", "done": 400, "of": 1000, "read_units": 0,
        }  # fmt: skip
        assert not {"rate", "seconds_left"} & first.keys(), "nothing was read yet, so nobody knows"
        units.add({"events": Units(12, 3)})
        progress.advance("summary", 500)
        line = until(lambda: lines[-1], lambda line: line["done"] == 500)
        assert isinstance(line["rate"], float)
        assert isinstance(line["seconds_left"], int)
        assert line["read_units"] == 12
        progress.advance("summary", 1200)
        line = until(lambda: lines[-1], lambda line: line["done"] == 1200)
        assert (line["of"], line.get("seconds_left")) == (1200, None), "more than there was said to be"
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "it took 12 read and 3 write units\n")


def test_what_stands_still_is_told_too_unless_something_else_moves(lines: list[Line]) -> None:
    with ProgressBars() as progress:
        progress.begin("first", "reading", 10, 0)
        progress.begin("second", "reading", 10, 0)
        until(lambda: len([each for each in lines if each["work"] == "second"]) > 2)
        assert len([each for each in lines if each["work"] == "first"]) == 1
        progress.advance("first", 3)
        until(lambda: [each for each in lines if each["work"] == "first" and each["done"] == 3])


def test_the_lines_come_whatever_the_level_and_short_work_says_nothing() -> None:
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logs("ERROR", "text")
        assert logging.getLogger(progress_bar.__name__).isEnabledFor(logging.INFO)
    finally:
        logging.getLogger().handlers[:], _ = before
        logging.getLogger().setLevel(before[1])
        structlog.reset_defaults()


def test_work_that_never_began_has_no_cost_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars(CapacityUnits()):
        pass
    assert capsys.readouterr().err == ""
