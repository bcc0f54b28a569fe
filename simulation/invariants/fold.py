"""The account as the invariants know it: a fold and rules of their own, in cents, apart from the product's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


class UnfoldableError(Exception):
    """An event that a summary can never hold."""


@dataclass(frozen=True, slots=True)
class State:
    """An account after some events; sums in cents."""

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
    try:
        payload = json.loads(item["payload"]["S"])
        currency = payload["currency"]
        kind = item["eventType"]["S"]
        after = replace(
            state,
            currency=state.currency or currency,
            last_at=item["occurredAt"]["S"],
            count=state.count + 1,
        )
        if kind == "FundsDeposited":
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
    return wish.kind in {"withdraw", "place"} and wish.amount > state.balance
