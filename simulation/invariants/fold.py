"""Accounts and vouchers as the invariants know them: a fold and rules of their own, apart from the product's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


class UnfoldableError(Exception):
    """An event that a summary can never hold."""


@dataclass(frozen=True, slots=True)
class State:
    """An account after some events, sums in cents; or a voucher, in points."""

    currency: str = ""
    balance: int = 0
    deposited: int = 0
    withdrawn: int = 0
    staked: int = 0
    paid_out: int = 0
    last_at: str = ""
    open_bets: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()
    count: int = 0
    #: The day on which a voucher was spent last.
    spent_on: str = ""


def type_of(key: str) -> str:
    """The type of the aggregate that has this key."""
    name, mark, _ = key.rpartition("~")
    return name if mark else "account"


def cents(text: str) -> int:
    """An amount in cents."""
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int((part + "00")[:2])


def money(value: int) -> str:
    """Cents as rows show them."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    return f"{sign}{value // 100}.{value % 100:02d}"


def fold(state: State, item: Mapping[str, Any], *, strict: bool) -> State:
    """The state after an event's item. ``strict``: as a summary folds, which refuses what an account never does.

    Raises UnfoldableError.
    """
    of_type, at = item["aggregateType"]["S"], item["occurredAt"]["S"]
    if of_type != type_of(item["aggregateId"]["S"]):
        raise UnfoldableError(f"of a {of_type}")
    try:
        payload = json.loads(item["payload"]["S"])
        currency = payload["currency"] if of_type == "account" else ""
        kind = item["eventType"]["S"] if of_type == "account" else f"{of_type}: {item['eventType']['S']}"
        after = replace(state, currency=state.currency or currency, last_at=at, count=state.count + 1)
        if kind == "voucher: VoucherCharged":
            amount = _points(payload)
            after = replace(after, balance=after.balance + amount, deposited=after.deposited + amount)
        elif kind == "voucher: VoucherSpent":
            after = replace(after, balance=after.balance - _points(payload), spent_on=at[:10])
        elif kind == "FundsDeposited":
            amount = cents(payload["amount"])
            after = replace(after, balance=after.balance + amount, deposited=after.deposited + amount)
        elif kind == "FundsWithdrawn":
            amount = cents(payload["amount"])
            after = replace(after, balance=after.balance - amount, withdrawn=after.withdrawn + amount)
        elif kind == "BetPlaced":
            amount, bet = cents(payload["stake"]), payload["betId"]
            after = replace(
                after,
                balance=after.balance - amount,
                staked=after.staked + amount,
                open_bets=after.open_bets | {bet},
            )
        elif kind == "BetSettled":
            amount, bet = cents(payload["payout"]), payload["betId"]
            after = replace(
                after,
                balance=after.balance + amount,
                paid_out=after.paid_out + amount,
                open_bets=after.open_bets - {bet},
                settled=after.settled | {bet},
            )
        else:
            raise UnfoldableError(kind)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UnfoldableError(str(error)) from error
    if strict and (currency != after.currency or after.balance < 0):
        raise UnfoldableError("against a rule")
    return after


def _points(payload: Mapping[str, Any]) -> int:
    amount = payload["amount"]
    if not isinstance(amount, int) or amount < 1:
        raise UnfoldableError("no number of points")
    return amount


@dataclass(frozen=True, slots=True)
class Wish:
    """A command as a client means it."""

    kind: str
    amount: int
    currency: str
    bet: str = ""


def refused(state: State, wish: Wish) -> bool:
    """Whether an account in this state refuses the command."""
    if wish.kind == "place" and wish.bet in state.open_bets | state.settled:
        return True
    if wish.kind == "settle" and wish.bet not in state.open_bets:
        return True
    if state.currency and wish.currency != state.currency:
        return True
    if wish.kind != "settle" and wish.amount <= 0:
        return True
    return wish.kind in {"withdraw", "place", "spend"} and wish.amount > state.balance
