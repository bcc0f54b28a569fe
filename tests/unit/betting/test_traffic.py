from collections import Counter
from decimal import Decimal
from itertools import islice
from typing import cast, get_args

from hypothesis import given
from hypothesis import strategies as st

from betting.account import Account
from betting.money import CurrencyCode, parse_amount
from betting.traffic import CURRENCIES, traffic
from ledger.aggregates.errors import RefusedError
from writer.traffic import MadeUpCommand, TrafficPlan


def commands(count: int, *, accounts: int = 20, seed: int = 1, stream: int = 0) -> list[MadeUpCommand]:
    return list(islice(traffic(TrafficPlan(accounts, "p", seed, stream)), count))


def carry_out(accounts: dict[str, Account], command: MadeUpCommand) -> bool:
    """Do what the writer would; whether the account took it."""
    account = accounts.setdefault(command.aggregate_id, Account(command.aggregate_id))
    currency = cast(CurrencyCode, command.body["currency"])
    action = command.path.split("/")[3:]
    try:
        match action:
            case ["deposits"]:
                events = account.deposit(parse_amount(command.body["amount"]), currency)
            case ["withdrawals"]:
                events = account.withdraw(parse_amount(command.body["amount"]), currency)
            case ["bets"]:
                events = account.place_bet(command.body["betId"], parse_amount(command.body["stake"]), currency)
            case ["bets", bet_id, "settlement"]:
                events = account.settle_bet(bet_id, parse_amount(command.body["payout"]), currency)
            case _:
                raise AssertionError(command.path)
    except RefusedError:
        return False
    for event in events:
        account.apply(event)
    return True


@given(st.integers(), st.integers(1, 50), st.integers(1, 4))
def test_exactly_what_should_be_refused_is_refused_however_many_share_the_accounts(
    seed: int, accounts: int, streams: int
) -> None:
    ledger: dict[str, Account] = {}
    sources = [commands(60, accounts=accounts, seed=seed, stream=stream) for stream in range(streams)]
    for turn in zip(*sources, strict=True):
        for command in turn:
            assert carry_out(ledger, command) is not command.refused
    assert all(account.balance >= Decimal(0) for account in ledger.values())


def test_the_same_seed_makes_the_same_commands_and_another_stream_others() -> None:
    assert commands(200) == commands(200)
    assert commands(200) != commands(200, stream=1)
    bets = [{c.body["betId"] for c in commands(500, stream=stream) if "betId" in c.body} for stream in (0, 1)]
    assert bets[0].isdisjoint(bets[1])


def test_every_command_kind_occurs_and_a_few_accounts_get_most() -> None:
    made = commands(4000, accounts=100)
    kinds = Counter(command.path.split("/")[-1] for command in made)
    assert set(kinds) == {"deposits", "withdrawals", "bets", "settlement"}
    assert 0 < sum(command.refused for command in made) < 400
    by_account = Counter(command.aggregate_id for command in made)
    assert sum(count for _, count in islice(by_account.most_common(), 10)) > 0.4 * len(made)


def test_currencies_are_ones_the_ledger_knows() -> None:
    assert set(CURRENCIES) <= set(get_args(CurrencyCode))
