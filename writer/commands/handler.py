"""How a command is carried out: load the account, let it decide, append what it decided, once."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from ledger.domain.account import Account
from ledger.domain.errors import RefusedError
from ledger.errors import TransientError
from ledger.store.errors import CommandRecordedError, VersionConflictError
from ledger.store.idempotency_keys import CommandKey, CommandLog, RecordedCommand
from ledger.store.stored_event import StoredEvent
from ledger.store.transactions import CommandPut
from writer.commands.account_repository import Accounts, LoadedAccount, SavedAccount
from writer.commands.commands import Command, decide
from writer.commands.idempotency import KeyReusedError
from writer.commands.preconditions import Precondition
from writer.metrics import Metrics

log = structlog.get_logger(__name__)

#: Seconds: the jitter before a command is decided anew grows from the first to the second. An append takes some 10 ms.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.2
_CREATED = 201


@dataclass(frozen=True, slots=True)
class Order:
    """One command of one request. ``key``: what it is recorded under, if its answer is to be repeatable."""

    account_id: str
    command: Command
    precondition: Precondition
    correlation_id: str
    key: CommandKey | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that was carried out, by this request or, ``replayed``, by an earlier one: the body of its answer."""

    status: int
    body: str
    replayed: bool = False


#: Writes the answer's body from the account after the command and the events that it stores.
Render = Callable[[Account, Sequence[StoredEvent]], str]


class CommandHandler:
    """Carries commands out. Safe to share between threads."""

    def __init__(
        self,
        accounts: Accounts,
        commands: CommandLog,
        metrics: Metrics,
        render: Render,
        *,
        conflict_retries: int,
        patience: float,
    ) -> None:
        """``conflict_retries``: how often, and ``patience``: for how many seconds, a command is decided anew when other
        writers were faster.
        """
        self._accounts = accounts
        self._commands = commands
        self._metrics = metrics
        self._render = render
        self._attempts = conflict_retries + 1
        self._patience = patience

    def handle(self, order: Order) -> Accepted:
        """Carry one command out, effectively once: its events are stored whole, or an error says why not.

        A conflict is answered with a decision on fresh history as long as the precondition allows the new version, so
        a claimed version is never retried. A command whose key is recorded gets the recorded answer, however the
        account stands by now; of several at the same moment one stores events, and all get its answer.

        Raises RefusedError and VersionConflictError (also for a precondition that does not hold): nothing was written;
        KeyReusedError: the key stands for another command, nothing was written; ThrottledError and EndpointError: the
        events may be stored or not, unless an earlier request stored them.
        """
        started = time.monotonic()
        line = _Line()
        try:
            accepted = self._once_per_key(order, line)
            line.outcome = "replayed" if accepted.replayed else "accepted"
        except RefusedError:
            line.outcome = "refused"
            raise
        except KeyReusedError:
            line.outcome = "key_reused"
            raise
        except VersionConflictError as conflict:
            line.outcome, line.version = "conflict", conflict.actual
            raise
        except TransientError:
            line.outcome = "unavailable"
            raise
        else:
            return accepted
        finally:
            self._tell(order, line, time.monotonic() - started)

    def _once_per_key(self, order: Order, line: "_Line") -> Accepted:
        replay = self._replay(order)
        if replay is not None:
            return replay
        try:
            saved = self._retrying(order, line)
        except (RefusedError, VersionConflictError, CommandRecordedError):
            # A request with the same key may have been faster: then this is its answer, and no refusal.
            replay = self._replay(order)
            if replay is None:
                raise
            return replay
        line.version = saved.account.version
        line.write_units = saved.history.write_units
        self._metrics.write_units.labels(order.command.name).inc(saved.history.write_units)
        self._metrics.write_retries.inc(saved.history.retries)
        return Accepted(_CREATED, self._render(saved.account, saved.history.events))

    def _replay(self, order: Order) -> Accepted | None:
        if order.key is None:
            return None
        found: RecordedCommand | None = self._commands.find(order.key)
        if found is None:
            return None
        if found.fingerprint != order.key.fingerprint:
            raise KeyReusedError
        return Accepted(found.status, found.body, replayed=True)

    def _retrying(self, order: Order, line: "_Line") -> SavedAccount:
        loaded: LoadedAccount | None = None

        def decide_and_append() -> SavedAccount:
            nonlocal loaded
            loaded = self._accounts.load(order.account_id) if loaded is None else self._accounts.refresh(loaded)
            return self._append(order, loaded)

        def another_may_do(error: BaseException) -> bool:
            return isinstance(error, VersionConflictError) and order.precondition.holds(error.actual)

        def count(_: RetryCallState) -> None:
            line.retries += 1
            self._metrics.conflict_retries.inc()

        retrying = Retrying(
            retry=retry_if_exception(another_may_do),
            stop=stop_after_attempt(self._attempts) | stop_after_delay(self._patience),
            wait=wait_random_exponential(_FIRST_PAUSE, max=_LONGEST_PAUSE),
            before_sleep=count,
            reraise=True,
        )
        return retrying(decide_and_append)

    def _append(self, order: Order, loaded: LoadedAccount) -> SavedAccount:
        key = order.key

        def record(account: Account, stored: Sequence[StoredEvent]) -> CommandPut:
            assert key is not None
            return self._commands.record(key, _CREATED, self._render(account, stored))

        try:
            order.precondition.require(order.account_id, loaded.account.version)
            return self._accounts.save(
                loaded,
                decide(loaded.account, order.command),
                correlation_id=order.correlation_id,
                recording=None if key is None else record,
            )
        except VersionConflictError:
            self._metrics.conflicts.inc()
            raise

    def _tell(self, order: Order, line: "_Line", seconds: float) -> None:
        self._metrics.commands.labels(order.command.name, line.outcome).inc()
        self._metrics.seconds.labels(order.command.name).observe(seconds)
        log.info(
            "command",
            account=order.account_id,
            command=order.command.name,
            outcome=line.outcome,
            version=line.version,
            correlation_id=order.correlation_id,
            retries=line.retries,
            write_units=line.write_units,
            ms=round(seconds * 1000, 1),
        )


@dataclass(slots=True)
class _Line:
    """What the log tells of a command at its end."""

    outcome: str = "failed"
    version: int | None = None
    retries: int = 0
    write_units: float = 0.0
