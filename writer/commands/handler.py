"""Carries a command out: load the account, let it decide, append its events, once per idempotency key."""

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
)

from aws_client.retry import RetryPolicy
from ledger.domain.account import Account
from ledger.domain.errors import RefusedError
from ledger.errors import TransientError
from ledger.store.errors import CommandRecordedError, CorruptHistoryError, VersionConflictError
from ledger.store.idempotency_keys import CommandKey, IdempotencyKeys, RecordedCommand
from ledger.store.stored_event import StoredEvent
from ledger.store.transactions import CommandPut
from writer.commands.account_repository import AccountRepository, LoadedAccount, SavedAccount
from writer.commands.commands import Command, decide
from writer.commands.idempotency import KeyReusedError
from writer.commands.preconditions import Precondition
from writer.metrics import Metrics

log = structlog.get_logger(__name__)

#: Seconds: exponential backoff with jitter between the attempts of a conflict. An append takes some 10 ms.
_MIN_PAUSE, _MAX_PAUSE = 0.005, 0.2
_CREATED = 201


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """One command of one HTTP request; with a ``key``, its result is recorded and a repeat gets the same one."""

    account_id: str
    command: Command
    precondition: Precondition
    correlation_id: str
    key: CommandKey | None = None


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The response to a command that was carried out, by this request or, when ``replayed``, by an earlier one."""

    status: int
    body: str
    replayed: bool = False


#: Renders the response body from the account after the command and the events that it stores.
Render = Callable[[Account, Sequence[StoredEvent]], str]


class CommandHandler:
    """Carries commands out. Safe to share between threads."""

    def __init__(
        self,
        accounts: AccountRepository,
        keys: IdempotencyKeys,
        metrics: Metrics,
        render: Render,
        *,
        conflict_retries: int,
        retry_seconds: float,
    ) -> None:
        """``conflict_retries`` and ``retry_seconds`` bound how often, and for how long, a conflict is retried."""
        self._accounts = accounts
        self._keys = keys
        self._metrics = metrics
        self._render = render
        self._attempts = conflict_retries + 1
        self._retry_seconds = retry_seconds

    def handle(self, request: CommandRequest) -> CommandResult:
        """Carry one command out, effectively once: its events are stored whole, or an error says why not.

        A conflict is retried on fresh history as long as the precondition allows the new version, so a claimed version
        is never retried. A command whose key is recorded gets the recorded result, whatever the account's state by
        now; of concurrent requests with one key, one stores events and all get its result.

        Raises RefusedError and VersionConflictError (also for a precondition that does not hold): nothing was written;
        CorruptHistoryError: the account's history cannot be read, nothing was written;
        KeyReusedError: the key stands for another command, nothing was written; ThrottledError and EndpointError: the
        events may be stored or not, unless an earlier request stored them.
        """
        started = time.monotonic()
        entry = _CommandLog()
        try:
            result = self._once_per_key(request, entry)
            entry.outcome = "replayed" if result.replayed else "accepted"
        except RefusedError:
            entry.outcome = "refused"
            raise
        except KeyReusedError:
            entry.outcome = "key_reused"
            raise
        except VersionConflictError as conflict:
            entry.outcome, entry.version = "conflict", conflict.actual
            raise
        except CorruptHistoryError:
            entry.outcome = "unreadable"
            raise
        except TransientError:
            entry.outcome = "unavailable"
            raise
        else:
            return result
        finally:
            self._log(request, entry, time.monotonic() - started)

    def _once_per_key(self, request: CommandRequest, entry: "_CommandLog") -> CommandResult:
        replay = self._replay(request, entry)
        if replay is not None:
            return replay
        try:
            saved = self._retrying(request, entry)
        except (RefusedError, VersionConflictError, CommandRecordedError):
            # A request with the same key may have been faster: then this is its answer, and no refusal.
            replay = self._replay(request, entry)
            if replay is None:
                raise
            return replay
        entry.version = saved.account.version
        entry.write_units = saved.history.write_units
        self._metrics.write_units.labels(request.command.name).inc(saved.history.write_units)
        self._metrics.write_retries.inc(saved.history.retries)
        return CommandResult(_CREATED, self._render(saved.account, saved.history.events))

    def _replay(self, request: CommandRequest, entry: "_CommandLog") -> CommandResult | None:
        if request.key is None:
            return None
        found = self._keys.find(request.key)
        if found is None:
            return None
        if found.event is not None and not self._accounts.holds(found.event):
            entry.worthless = found
            log.warning(
                "command_record_ignored",
                account=found.event.aggregate_id,
                sequence_number=found.event.sequence_number,
                correlation_id=request.correlation_id,
                action="none: its event is lost, so the command is carried out anew; see `kinfold restore`",
            )
            return None
        if found.fingerprint != request.key.fingerprint:
            raise KeyReusedError
        return CommandResult(found.status, found.body, replayed=True)

    def _retrying(self, request: CommandRequest, entry: "_CommandLog") -> SavedAccount:
        loaded: LoadedAccount | None = None

        def decide_and_append() -> SavedAccount:
            nonlocal loaded
            loaded = self._accounts.load(request.account_id) if loaded is None else self._accounts.refresh(loaded)
            return self._append(request, loaded, entry.worthless)

        def may_be_retried(error: BaseException) -> bool:
            return isinstance(error, VersionConflictError) and request.precondition.holds(error.actual)

        def count(_: RetryCallState) -> None:
            entry.retries += 1
            self._metrics.conflict_retries.inc()

        retrying = Retrying(
            retry=retry_if_exception(may_be_retried),
            stop=stop_after_attempt(self._attempts) | stop_after_delay(self._retry_seconds),
            wait=RetryPolicy(_MIN_PAUSE, _MAX_PAUSE, jitter=1.0),
            before_sleep=count,
            reraise=True,
        )
        return retrying(decide_and_append)

    def _append(
        self, request: CommandRequest, loaded: LoadedAccount, worthless: RecordedCommand | None
    ) -> SavedAccount:
        key = request.key

        def record(account: Account, stored: Sequence[StoredEvent]) -> CommandPut:
            assert key is not None
            return self._keys.record(key, _CREATED, self._render(account, stored), stored[-1].reference, worthless)

        try:
            request.precondition.require(request.account_id, loaded.account.version)
            return self._accounts.save(
                loaded,
                decide(loaded.account, request.command),
                correlation_id=request.correlation_id,
                recording=None if key is None else record,
            )
        except VersionConflictError:
            self._metrics.conflicts.inc()
            raise

    def _log(self, request: CommandRequest, entry: "_CommandLog", seconds: float) -> None:
        self._metrics.commands.labels(request.command.name, entry.outcome).inc()
        self._metrics.seconds.labels(request.command.name).observe(seconds)
        log.info(
            "command",
            account=request.account_id,
            command=request.command.name,
            outcome=entry.outcome,
            version=entry.version,
            correlation_id=request.correlation_id,
            retries=entry.retries,
            write_units=entry.write_units,
            ms=round(seconds * 1000, 1),
        )


@dataclass(slots=True)
class _CommandLog:
    """What is known of a command under way, most of it for the log line that it ends with."""

    outcome: str = "failed"
    version: int | None = None
    retries: int = 0
    write_units: float = 0.0
    #: The record of the command's key whose events are lost.
    worthless: RecordedCommand | None = None
