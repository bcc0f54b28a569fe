"""The peers' handlers: the same arithmetic as the account's own fold, once for the marked one."""

from decimal import Decimal

from bench.contest import folded
from bench.peers.balances import Change, addition, addition_once, change_of
from bench.workloads import WORKLOADS
from ledger.change_record import encode


def test_the_sums_of_the_changes_are_the_folds() -> None:
    deliveries = list(WORKLOADS["skewed"].deliveries(2_000, 3))
    sums: dict[str, Decimal] = {}
    kinds = set()
    for each in deliveries:
        kinds.add(each.event.event_type)
        change = change_of(encode(each.event, "domain-events-test", "us-east-1"))
        assert (change.account, change.number) == (each.event.aggregate_id, str(each.event.sequence_number))
        sums[change.account] = sums.get(change.account, Decimal(0)) + change.amount
    assert len(kinds) == 4
    assert sums == folded(deliveries)


def test_the_requests() -> None:
    change = Change("alice", "7", Decimal("-1.50"))
    add = addition("balances", change)
    assert add["Key"] == {"aggregateId": {"S": "alice"}}
    assert add["ExpressionAttributeValues"] == {":amount": {"N": "-1.50"}}
    marker, update = addition_once("balances", "markers", change)
    assert marker["Put"]["Item"] == {"eventId": {"S": "alice#7"}}
    assert marker["Put"]["ConditionExpression"] == "attribute_not_exists(eventId)"
    assert update == {"Update": add}
