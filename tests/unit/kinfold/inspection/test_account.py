"""Which aggregate is meant by an id, and what is advised of what was seen."""

import pytest
import typer

from betting import AGGREGATES as BETTING
from kinfold.inspection.account import ReadModelRow, Seen, named
from ledger.aggregates.aggregate_type import AggregateTypes
from loyalty import AGGREGATES as LOYALTY

BOTH = AggregateTypes([*BETTING, *LOYALTY])


@pytest.mark.parametrize(
    ("types", "text", "type_name", "key"),
    [
        (AggregateTypes(BETTING), "alice", None, "alice"),
        (AggregateTypes(LOYALTY), "alice", None, "member~alice"),
        (AggregateTypes(LOYALTY), "member~alice", None, "member~alice"),
        (BOTH, "alice", None, "alice"),
        (BOTH, "alice", "member", "member~alice"),
        (BOTH, "member~alice", None, "member~alice"),
        (BOTH, "member~alice", "member", "member~alice"),
    ],
)
def test_an_id_or_a_key_names_an_aggregate(types: AggregateTypes, text: str, type_name: str | None, key: str) -> None:
    kind, found = named(types, text, type_name)
    assert found == key
    assert kind.id_of(key) == "alice"


@pytest.mark.parametrize(
    ("text", "type_name", "said"),
    [
        ("alice", "order", "it has account, member"),
        ("order~alice", None, "no id of account, member"),
        ("member~alice", "account", "no id of account"),
        ("a b", "member", "letters, digits"),
        ("", None, "no id"),
    ],
)
def test_what_names_none_is_refused(text: str, type_name: str | None, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        named(BOTH, text, type_name)


def seen(*rows: ReadModelRow, unread: str | None = None) -> Seen:
    return Seen("account", "alice", "alice", 5, 5, {}, unread, rows, ())


def test_nothing_is_advised_where_all_agree() -> None:
    assert seen(ReadModelRow("a", 5, {}, None), ReadModelRow("b", 5, {}, None)).advice() == []


def test_what_is_wrong_comes_with_what_to_do() -> None:
    halted = {"sequenceNumber": 3, "reason": "bad\x1b[2J", "at": "2026", "id": "a~alice~3"}
    advice = seen(
        ReadModelRow("halts", 2, {}, halted),
        ReadModelRow("late", 3, {}, None),
        ReadModelRow("early", 7, {}, None),
        ReadModelRow("gone", 0, None, None, "no control row: start a projector"),
        unread="event 4 cannot be read",
    ).advice()
    assert len(advice) == 5
    assert "event 4 cannot be read" in advice[0]
    assert "dead-letters show a~alice~3" in advice[1]
    assert "redrive a~alice~3" in advice[1]
    assert "\x1b" not in advice[1], "a reason does not speak to the terminal"
    assert "2 events behind" in advice[2]
    assert "2 events that the events table lacks: `kinfold restore" in advice[3]
    assert "start a projector" in advice[4]
