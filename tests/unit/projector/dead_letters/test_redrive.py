from types import SimpleNamespace
from typing import Any

from betting.projections.balance_summary import BALANCE_SUMMARY
from projector.dead_letters.letters import DeadLetter, Origin, StoredLetter
from projector.dead_letters.redrive import Redrive
from projector.projection import HEAD, Halt, Row

HALT = Halt(1, "a MODIFY of an event", "2026-01-01T00:00:00.000000+00:00", "record~a~1")


class Model:
    """Not halted when the redrive looks; a worker halts it a moment later."""

    projection = BALANCE_SUMMARY
    table = "balances"

    def __init__(self) -> None:
        self.reads = 0

    def get(self, account_id: str) -> Row[Any]:
        self.reads += 1
        assert self.reads < 10, "the redrive does not end"
        return Row(account_id, HEAD, 1, None, HALT if self.reads > 2 else None)


def test_a_redrive_ends_when_a_worker_halts_the_account_meanwhile() -> None:
    letter = DeadLetter("reason", Origin("stream"), b"", aggregate_id="a", sequence_number=1)
    stored = StoredLetter("record~a~1", letter, 0, 1, "", "", "open")
    store: Any = SimpleNamespace(
        version=lambda _: SimpleNamespace(number=2), load=lambda *_, **__: SimpleNamespace(events=[])
    )
    letters: Any = SimpleNamespace(get=lambda _: stored, begin_redrive=lambda _: "redrive")
    halts: Any = SimpleNamespace(apply=lambda *_: [])
    target: Any = SimpleNamespace(model=Model(), forget=lambda _: None)
    nothing: Any = None

    redriven = Redrive(store, letters, nothing, halts, "events").redrive("record~a~1", lambda: [target], by="me")

    assert redriven.result == "still halted"
    assert redriven.reason == HALT.reason
