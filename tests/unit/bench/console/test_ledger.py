"""The history that the console is measured with is one that every read model can fold."""

from bench.console.ledger import LONG, history
from betting.projections import PROJECTIONS
from projector.verification.expected_rows import ExpectedRows


def test_a_long_history_is_folded_by_fold_and_witness() -> None:
    events = list(history(LONG, 2_000))
    assert [each.sequence_number for each in events] == list(range(1, 2_001))
    for projection in PROJECTIONS:
        folded, witnessed = (ExpectedRows(projection, LONG, lambda *_: False, witnessed=by) for by in (False, True))
        for event in events:
            folded.add(event)
            witnessed.add(event)
        assert folded.rows() == witnessed.rows()
        assert (projection.part is None) == (len(folded.rows()) == 1)
        assert len(folded.rows()) in (1, 1 + len({each.occurred_at[:10] for each in events}))
