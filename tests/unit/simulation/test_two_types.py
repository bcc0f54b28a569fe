"""Runs with a second aggregate type in the table: who has which key, and what the invariants say of a mix-up."""

import pytest

from betting.account_type import ACCOUNT
from simulation.invariants.fold import State, UnfoldableError, fold
from simulation.invariants.history import POISON, Histories
from simulation.invariants.projections.rows import ACTIVITY, BALANCES, VOUCHERS, Rows
from simulation.plan import Plan
from simulation.vouchers import VOUCHER, VoucherCharged, VoucherSpent

PLANS = [Plan.drawn(seed) for seed in range(400)]
CHARGED, SPENT = VoucherCharged(amount=5), VoucherSpent(amount=5)


def event(
    key: str, number: int, kind: str, what: VoucherCharged | VoucherSpent, by: str = "c"
) -> dict[str, dict[str, str]]:
    texts = {
        "aggregateId": key,
        "aggregateType": kind,
        "eventType": what.event_type,
        "payload": what.payload(),
        "occurredAt": "2026-01-01T00:00:00.000000+00:00",
        "correlationId": by,
    }
    return {"sequenceNumber": {"N": str(number)}} | {name: {"S": text} for name, text in texts.items()}


def test_two_runs_of_five_have_vouchers_with_the_ids_of_accounts() -> None:
    with_vouchers = [plan for plan in PLANS if plan.vouchers]
    assert 0.3 < len(with_vouchers) / len(PLANS) < 0.5
    assert {plan.domain for plan in PLANS if not plan.vouchers} == {"betting"}
    for plan in with_vouchers:
        accounts = [ACCOUNT.key(f"account-{number}") for number in range(plan.accounts)]
        assert plan.keys == accounts + [VOUCHER.key(f"account-{number}") for number in range(plan.vouchers)]


def test_some_runs_store_an_event_under_a_key_of_another_type() -> None:
    misplaced = [plan for plan in PLANS if any(each.kind == "misplaced_event" for each in plan.disturbances)]
    assert 0.1 < len(misplaced) / len(PLANS) < 0.3


@pytest.mark.parametrize("by", ["client-0.1.0", f"{POISON}1"])
def test_only_what_is_stored_past_every_writer_may_be_of_another_type_than_its_key(by: str) -> None:
    wrong = list[tuple[str, str]]()
    histories = Histories(lambda: 1.0, lambda *violation: wrong.append(violation))
    histories.changed(None, ("account-0", 1), None, event("account-0", 1, "voucher", CHARGED, by))  # type: ignore[arg-type]
    assert [name for name, _ in wrong] == ([] if by.startswith(POISON) else ["no key is of two types"])
    assert histories.states["account-0"][1:] == ([None] if by.startswith(POISON) else [])


def test_a_voucher_is_folded_and_never_below_nothing() -> None:
    key = VOUCHER.key("account-0")
    state = fold(State(), event(key, 1, "voucher", CHARGED), strict=True)
    spent = fold(state, event(key, 2, "voucher", SPENT), strict=True)
    assert (state.balance, spent.balance, spent.spent_on) == (5, 0, "2026-01-01")
    with pytest.raises(UnfoldableError):
        fold(spent, event(key, 3, "voucher", SPENT), strict=True)
    with pytest.raises(UnfoldableError):
        fold(State(), event("account-0", 1, "voucher", CHARGED), strict=False)


def test_a_row_of_another_types_aggregate_is_wrong() -> None:
    histories = Histories(lambda: 1.0, lambda *_: None)
    rows, key = Rows(histories, lambda *_: None, "sim", (BALANCES, ACTIVITY, VOUCHERS)), VOUCHER.key("account-0")
    empty = {"version": {"N": "0"}}
    assert rows.wrong(VOUCHERS, key, "!", empty) is None
    assert rows.wrong(BALANCES, key, "!", empty) is not None
    assert rows.wrong(VOUCHERS, "account-0", "!", empty) is not None
