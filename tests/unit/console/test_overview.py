"""The whole is looked at while somebody looks, and an old look is not told as the present."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from console.looking import overview
from console.looking.overview import OLD, PERIOD, Overview
from ledger.errors import EndpointError


class Looks:
    """An overview whose looks are counted, and taken when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.waiting: list[Callable[[], None]] = []
        self.fails = False
        self.taken = 0
        components: Any = SimpleNamespace(
            projections=(),
            settings=SimpleNamespace(bridge="native", failover_time=1),
            audit=SimpleNamespace(recent=lambda *_, **__: []),
        )
        executor: Any = SimpleNamespace(submit=self.waiting.append)
        monkeypatch.setattr(overview, "read_status", self.look)
        self.overview = Overview(components, executor, lambda: self.now)

    def look(self, *_: Any, **__: Any) -> Any:
        self.taken += 1
        if self.fails:
            raise EndpointError("it does not answer")
        return f"status {self.taken}"

    def seen(self, seconds: float = 0.0) -> Any:
        self.now += seconds
        found = self.overview.last()
        while self.waiting:
            self.waiting.pop()()
        return found


def test_however_many_look_it_is_looked_at_once_a_period(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(monkeypatch)
    assert looks.seen() is None
    for _ in range(100):
        assert looks.seen(PERIOD / 200).status == "status 1"
    assert looks.taken == 1
    looks.seen(PERIOD)
    assert looks.seen().status == "status 2"


def test_a_look_that_fails_leaves_the_last_one_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(monkeypatch)
    looks.seen()
    before = looks.seen()
    looks.fails = True
    looks.seen(PERIOD)
    after = looks.seen()
    assert (after.status, after.at, after.error) == ("status 1", before.at, "it does not answer")


def test_what_was_seen_long_ago_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(monkeypatch)
    looks.seen()
    assert looks.seen().status == "status 1"
    assert looks.seen(OLD) is None
    assert looks.seen().status == "status 2"
