"""Carries commands out, each once per idempotency key, and says of each how it ended."""

import time
from threading import Lock
from typing import TYPE_CHECKING, Final

import structlog
from cachetools import LRUCache

from ledger.aggregates.errors import RefusedError
from ledger.errors import TransientError
from ledger.store.errors import CommandRecordedError, CorruptHistoryError, TableReplacedError, VersionConflictError
from ledger.store.idempotency_keys import CommandKey, IdempotencyKeys
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.group_commit import GroupCommit, Render
from writer.commands.idempotency import KeyReusedError
from writer.commands.requests import CommandRequest, CommandResult, Waiting
from writer.commands.turns import Turns
from writer.metrics import Metrics

if TYPE_CHECKING:
    from writer.commands.append_spans import AppendSpans

log = structlog.get_logger(__name__)

#: Keys of which a writer knows that they came before: some megabytes.
_SEEN_KEYS: Final = 20_000
#: After these, an earlier request with the same key may be what answers a request.
_NOTHING_WRITTEN: Final = (
    RefusedError,
    VersionConflictError,
    CommandRecordedError,
    CorruptHistoryError,
    TableReplacedError,
)


class CommandHandler:
    """Carries commands out. Safe to share between threads."""

    def __init__(
        self,
        repository: AggregateRepository,
        keys: IdempotencyKeys,
        metrics: Metrics,
        render: Render,
        *,
        conflict_retries: int,
        retry_seconds: float,
        spans: "AppendSpans | None" = None,
    ) -> None:
        """``conflict_retries`` and ``retry_seconds`` bound how often, and for how long, a conflict is retried."""
        self._repository = repository
        self._keys = keys
        self._metrics = metrics
        commit = GroupCommit(
            repository,
            keys,
            metrics,
            render,
            conflict_retries=conflict_retries,
            retry_seconds=retry_seconds,
            spans=spans,
        )
        self._turns = Turns(commit.carry_out)
        self._seen: LRUCache[str, None] = LRUCache(_SEEN_KEYS)
        self._lock = Lock()

    def handle(self, request: CommandRequest) -> CommandResult:
        """Carry one command out, effectively once: its events are stored whole, or an error says why not.

        A conflict is retried on fresh history as long as the precondition allows the new version, so a claimed version
        is never retried. A command whose key is recorded gets the recorded result, whatever the aggregate's state by
        now; of concurrent requests with one key, one stores events and all get its result.

        Raises RefusedError and VersionConflictError (also for a precondition that does not hold): nothing was written;
        CorruptHistoryError: the aggregate's history cannot be read, nothing was written;
        KeyReusedError: the key stands for another command, nothing was written; ThrottledError and EndpointError: the
        events may be stored or not, unless an earlier request stored them.
        """
        waiting, outcome = Waiting(request), "failed"
        try:
            result = self._once_per_key(waiting)
            outcome = "replayed" if result.replayed else "accepted"
        except RefusedError:
            outcome = "refused"
            raise
        except KeyReusedError:
            outcome = "key_reused"
            raise
        except VersionConflictError as conflict:
            outcome, waiting.version = "conflict", conflict.actual
            raise
        except CorruptHistoryError:
            outcome = "unreadable"
            raise
        except TransientError:
            outcome = "unavailable"
            raise
        else:
            return result
        finally:
            self._log(waiting, outcome)

    def _once_per_key(self, waiting: Waiting) -> CommandResult:
        """Have the command carried out. Its key is looked up where that can change the answer.

        The condition of the append proves an unused key, so one that comes for the first time is not looked up before.
        """
        if self._came_before(waiting.request.key):
            replay = self._replay(waiting)
            if replay is not None:
                return replay
        while True:
            self._turns.wait(waiting)
            if waiting.result is not None:
                return waiting.result
            error, lost = waiting.error, waiting.worthless
            assert error is not None
            if not isinstance(error, _NOTHING_WRITTEN):
                raise error
            # An earlier request with the same key may have been accepted: then this is its answer, and no refusal.
            replay = self._replay(waiting)
            if replay is not None:
                return replay
            if not isinstance(error, CommandRecordedError) or waiting.worthless == lost:
                raise error

    def _came_before(self, key: CommandKey | None) -> bool:
        """Whether this writer has seen the key lately. A repeat then costs two reads, and no write that fails."""
        if key is None:
            return False
        with self._lock:
            seen = key.command_id in self._seen
            self._seen[key.command_id] = None
        return seen

    def _replay(self, waiting: Waiting) -> CommandResult | None:
        request = waiting.request
        if request.key is None:
            return None
        found = self._keys.find(request.key)
        if found is None:
            return None
        if found.event is not None and not self._repository.holds(found.event):
            waiting.worthless = found
            log.warning(
                "command_record_ignored",
                aggregate=found.event.aggregate_id,
                sequence_number=found.event.sequence_number,
                correlation_id=request.correlation_id,
                action="none: its event is lost, so the command is carried out anew; see `kinfold restore`",
            )
            return None
        if found.fingerprint != request.key.fingerprint:
            raise KeyReusedError
        return CommandResult(found.status, found.body, replayed=True)

    def _log(self, waiting: Waiting, outcome: str) -> None:
        request, seconds = waiting.request, time.monotonic() - waiting.since
        self._metrics.commands.labels(request.command.name, outcome).inc()
        self._metrics.seconds.labels(request.command.name).observe(seconds)
        log.info(
            "command",
            aggregate=request.aggregate_key,
            command=request.command.name,
            outcome=outcome,
            version=waiting.version,
            correlation_id=request.correlation_id,
            retries=waiting.retries,
            together=waiting.together,
            write_units=waiting.write_units,
            ms=round(seconds * 1000, 1),
        )
