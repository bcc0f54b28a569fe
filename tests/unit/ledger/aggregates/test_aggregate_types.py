from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from betting.account_type import ACCOUNT
from ledger.aggregates.aggregate_type import AggregateType, AggregateTypes
from ledger.aggregates.identifiers import Identifier, is_key
from loyalty.member import MEMBER

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)


def named(name: str, **changes: Any) -> AggregateType[Any, Any]:
    return replace(MEMBER, name=name, **changes)


@given(NAMES, IDS)
def test_a_key_gives_back_its_id_and_is_no_other_types(name: str, aggregate_id: str) -> None:
    kind, other = named(name), named("another-type")
    assume(name != other.name)
    assert is_key(kind.key(aggregate_id))
    assert kind.id_of(kind.key(aggregate_id)) == aggregate_id
    assert other.id_of(kind.key(aggregate_id)) is None
    assert ACCOUNT.id_of(kind.key(aggregate_id)) is None
    assert ACCOUNT.id_of(ACCOUNT.key(aggregate_id)) == aggregate_id
    assert kind.id_of(aggregate_id) is None


@given(NAMES, IDS, NAMES, IDS)
def test_no_two_aggregates_have_one_key(name: str, one: str, other_name: str, other: str) -> None:
    assume((name, one) != (other_name, other))
    keys = {named(name).key(one), named(other_name).key(other), ACCOUNT.key(one)}
    assert len(keys) == 3


@pytest.mark.parametrize(
    "key", ["member~", "~alice", "Member~alice", "member~a~b", "member~-a", "a b", "member~a#b", ""]
)
def test_what_is_no_key_is_no_types(key: str) -> None:
    assert not is_key(key)
    assert MEMBER.id_of(key) is None
    assert ACCOUNT.id_of(key) is None


def test_a_type_can_narrow_its_ids() -> None:
    kind = named("policy", ids=Identifier("a policy number", pattern="P-[0-9]{8}"))
    assert kind.id_of("policy~P-12345678") == "P-12345678"
    assert kind.id_of("policy~P-1234567") is None
    assert kind.ids.sentence == "a policy number matches P-[0-9]{8}"


def test_an_events_type_is_that_of_its_key_or_it_was_written_past_the_event_store() -> None:
    types = AggregateTypes([ACCOUNT, MEMBER])
    for key, name in [("alice", "account"), ("member~alice", "member"), ("order~alice", "order")]:
        assert types.fits(key, name)
    for key, name in [
        ("alice", "member"),
        ("alice", "order"),
        ("member~alice", "account"),
        ("member~alice", "order"),
        ("order~alice", "member"),
        ("member~a~b", "member"),
    ]:
        assert not types.fits(key, name)
    assert AggregateTypes([MEMBER]).fits("alice", "account"), "some other domain's, with bare ids"


@pytest.mark.parametrize(
    ("types", "reason"),
    [
        ([named("order"), named("order", bare_ids=True)], "two aggregate types are named order"),
        ([ACCOUNT, named("order", bare_ids=True)], "only one aggregate type can have bare ids, not account and order"),
    ],
)
def test_types_that_collide_are_refused(types: list[AggregateType[Any, Any]], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        AggregateTypes(types)


@pytest.mark.parametrize("name", ["", "Order", "or der", "order~", "1order", "o" * 33])
def test_a_name_that_cannot_be_in_a_key_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="a name is lower case letters"):
        named(name)
