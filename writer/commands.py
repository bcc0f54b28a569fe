"""Commands: load the account, let it decide, append what it decided."""

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, assert_never

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from ledger.account import Account
from ledger.errors import RefusedError, TransientError, VersionConflictError
from ledger.event_store import History
from ledger.events import DomainEvent
from ledger.money import Currency
from writer.accounts import Accounts, LoadedAccount
from writer.metrics import Metrics
from writer.preconditions import Precondition

log = structlog.get_logger(__name__)

#: Seconds: the jitter before a command is decided anew grows from the first to the second. An append takes some 10 ms.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.2


@dataclass(frozen=True, slots=True)
class Deposit:
    """Take money in."""

    name: ClassVar = "deposit"
    amount: Decimal
    currency: Currency


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Pay money out."""

    name: ClassVar = "withdraw"
    amount: Decimal
    currency: Currency


@dataclass(frozen=True, slots=True)
class PlaceBet:
    """Stake money on a bet."""

    name: ClassVar = "place_bet"
    bet_id: str
    stake: Decimal
    currency: Currency


@dataclass(frozen=True, slots=True)
class SettleBet:
    """End a bet with its payout."""

    name: ClassVar = "settle_bet"
    bet_id: str
    payout: Decimal
    currency: Currency


Command = Deposit | Withdraw | PlaceBet | SettleBet


def decide(account: Account, command: Command) -> list[DomainEvent]:
    """The events that ``command`` brings about. Raises RefusedError when it breaks a rule of the account."""
    match command:
        case Deposit():
            return account.deposit(command.amount, command.currency)
        case Withdraw():
            return account.withdraw(command.amount, command.currency)
        case PlaceBet():
            return account.place_bet(command.bet_id, command.stake, command.currency)
        case SettleBet():
            return account.settle_bet(command.bet_id, command.payout, command.currency)
        case _:
            assert_never(command)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that was carried out: the account after it, and the events it stored."""

    account: Account
    history: History


class CommandHandler:
    """Carries commands out. Safe to share between threads."""

    def __init__(self, accounts: Accounts, metrics: Metrics, *, conflict_retries: int) -> None:
        """``conflict_retries``: how often a command is decided anew when another writer was faster."""
        self._accounts = accounts
        self._metrics = metrics
        self._attempts = conflict_retries + 1

    def handle(self, account_id: str, command: Command, *, precondition: Precondition, correlation_id: str) -> Accepted:
        """Carry one command out, effectively once: its events are stored whole, or an error says why not.

        A conflict is answered with a decision on fresh history as long as the precondition allows the new version, so
        a claimed version is never retried.

        Raises RefusedError and VersionConflictError (also for a precondition that does not hold): nothing was written;
        ThrottledError and EndpointError: the events may be stored or not.
        """
        started, outcome, version = time.monotonic(), "failed", None
        try:
            accepted = self._retrying(account_id, command, precondition, correlation_id)
            outcome, version = "accepted", accepted.account.version
        except RefusedError:
            outcome = "refused"
            raise
        except VersionConflictError as conflict:
            outcome, version = "conflict", conflict.actual
            raise
        except TransientError:
            outcome = "unavailable"
            raise
        else:
            return accepted
        finally:
            seconds = time.monotonic() - started
            self._metrics.commands.labels(command.name, outcome).inc()
            self._metrics.seconds.labels(command.name).observe(seconds)
            log.info(
                "command",
                account=account_id,
                command=command.name,
                outcome=outcome,
                version=version,
                correlation_id=correlation_id,
                ms=round(seconds * 1000, 1),
            )

    def _retrying(self, account_id: str, command: Command, precondition: Precondition, correlation_id: str) -> Accepted:
        loaded: LoadedAccount | None = None

        def decide_and_append() -> Accepted:
            nonlocal loaded
            loaded = self._accounts.load(account_id) if loaded is None else self._accounts.refresh(loaded)
            return self._once(loaded, command, precondition, correlation_id)

        def another_may_do(error: BaseException) -> bool:
            return isinstance(error, VersionConflictError) and precondition.holds(error.actual)

        def count(_: RetryCallState) -> None:
            self._metrics.conflict_retries.inc()

        retrying = Retrying(
            retry=retry_if_exception(another_may_do),
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(_FIRST_PAUSE, max=_LONGEST_PAUSE),
            before_sleep=count,
            reraise=True,
        )
        return retrying(decide_and_append)

    def _once(
        self, loaded: LoadedAccount, command: Command, precondition: Precondition, correlation_id: str
    ) -> Accepted:
        account = loaded.account
        try:
            precondition.require(account.account_id, account.version)
            history = self._accounts.save(loaded, decide(account, command), correlation_id=correlation_id)
        except VersionConflictError:
            self._metrics.conflicts.inc()
            raise
        return Accepted(account, history)
