"""Commands that have waited for one aggregate are decided one after the other, and stored together.

Each has an answer, a key and a correlation id of its own. A refusal holds once it is known that the aggregate was as it
was judged on: read after the command came, or proven by the append of its group, which holds only if nothing followed.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from aws_client.retry import RetryPolicy
from ledger.aggregates.aggregate_type import Aggregate
from ledger.aggregates.errors import RefusedError
from ledger.store.errors import AppendTooLargeError, CommandRecordedError, RejectedEventError, VersionConflictError
from ledger.store.event_store import History
from ledger.store.idempotency_keys import IdempotencyKeys
from ledger.store.stored_event import StoredEvent
from ledger.store.transactions import Draft
from writer.commands.aggregate_repository import AggregateRepository, Loaded
from writer.commands.idempotency import KeyReusedError
from writer.commands.requests import CommandRequest, CommandResult, Waiting
from writer.metrics import Metrics

if TYPE_CHECKING:
    from writer.commands.append_spans import AppendSpans

#: Seconds: exponential backoff with jitter between the attempts of a conflict. An append takes some 10 ms.
_PAUSES: Final = RetryPolicy(0.005, 0.2, jitter=1.0)
CREATED: Final = 201

#: Renders the response body from the aggregate after the command and the events that it stores.
Render = Callable[[Aggregate[Any, Any], Sequence[StoredEvent]], str]


@dataclass(slots=True)
class _Decision:
    """What becomes of a group if the aggregate is as it was decided on: ``aggregate`` is how it will be."""

    aggregate: Aggregate[Any, Any]
    draft: Draft
    accepted: list[tuple[Waiting, CommandResult, int]] = field(default_factory=list)
    refused: list[tuple[Waiting, Exception]] = field(default_factory=list)
    #: Requests with the key of an accepted one, beside its result and fingerprint.
    twins: list[tuple[Waiting, CommandResult, str]] = field(default_factory=list)
    #: What the transaction has no room for.
    left: list[Waiting] = field(default_factory=list)


class GroupCommit:
    """Carries out the commands of one aggregate that have come together. Safe to share between threads."""

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
        """``conflict_retries`` and ``retry_seconds`` bound how often, and for how long, a group is tried again."""
        self._repository = repository
        self._keys = keys
        self._metrics = metrics
        self._render = render
        self._attempts = conflict_retries + 1
        self._retry_seconds = retry_seconds
        self._spans = spans

    def carry_out(self, group: list[Waiting]) -> None:
        """Give each of the group, all of one aggregate, its outcome, in the order in which they stand there.

        The aggregate that this process holds is taken away while it is at work, and comes back as it was stored: what
        an append without an answer may have made of it is found out by reading it.
        """
        waiting = list(group)
        try:
            self._carry_out(group[0].request, waiting)
        except Exception as error:  # noqa: BLE001 - each thread raises it for its own request
            for each in waiting:
                each.fail(error)

    def _carry_out(self, first: CommandRequest, waiting: list[Waiting]) -> None:
        """Take each from ``waiting`` before it gets its outcome: it may wait for its next turn at once."""
        loaded = self._repository.take(first.aggregate_key)
        fresh = loaded is None
        if loaded is None:
            loaded = self._repository.load(first.kind, first.aggregate_id)
        deadline = min(each.since for each in waiting) + self._retry_seconds
        conflicts = count(1)
        while waiting:
            loaded = self._repository.recall(loaded, _used_ids(loaded, waiting))
            decision = self._decided(loaded, waiting)
            if not (decision.accepted or fresh):
                loaded, fresh = self._repository.refresh(loaded), True
                continue
            try:
                if decision.accepted:
                    left = max(0.0, deadline - time.monotonic())
                    with self._span_of(decision):
                        loaded, history = self._repository.save(loaded, decision.aggregate, decision.draft, left)
                    self._count(decision, history)
            except VersionConflictError as conflict:
                self._metrics.conflicts.inc()
                waiting[:] = self._unless_over(waiting, conflict, next(conflicts), deadline)
                if not waiting:
                    return
                loaded, fresh = self._repository.refresh(loaded), True
            except CommandRecordedError as recorded:
                waiting[:] = _without(waiting, recorded)
            except (RejectedEventError, AppendTooLargeError):
                if len(waiting) == 1:
                    raise
                one_by_one, waiting[:] = list(waiting), []
                for each in one_by_one:
                    self.carry_out([each])
                return
            else:
                waiting[:], fresh = decision.left, True
                self._settle(decision)
        self._repository.keep(loaded)

    def _decided(self, loaded: Loaded, waiting: list[Waiting]) -> _Decision:
        before = loaded.aggregate
        decision = _Decision(before, Draft(before.key, before.version, before.type.name))
        first_of_key: dict[str, tuple[CommandResult, str]] = {}
        for position, each in enumerate(waiting):
            request, aggregate, draft = each.request, decision.aggregate, decision.draft
            key = request.key
            if key is not None and key.command_id in first_of_key:
                decision.twins.append((each, *first_of_key[key.command_id]))
                continue
            try:
                request.precondition.require(before.key, aggregate.version)
                events = request.command.decide(aggregate.state)
            except (RefusedError, VersionConflictError) as error:
                decision.refused.append((each, error))
                continue
            if draft.events and draft.room < len(events) + (key is not None):
                decision.left = waiting[position:]
                break
            if not draft.events:
                aggregate = decision.aggregate = aggregate.copy()
            stored = draft.add(events, request.correlation_id)
            for event in events:
                aggregate.apply(event)
            result = CommandResult(CREATED, self._render(aggregate, stored))
            if key is not None:
                last = stored[-1].reference
                draft.record(self._keys.record(key, result.status, result.body, last, each.worthless))
                first_of_key[key.command_id] = result, key.fingerprint
            decision.accepted.append((each, result, aggregate.version))
        return decision

    def _span_of(self, decision: _Decision) -> AbstractContextManager[None]:
        if self._spans is None:
            return nullcontext()
        return self._spans.around([each.request for each, *_ in decision.accepted])

    def _settle(self, decision: _Decision) -> None:
        for each, result, version in decision.accepted:
            each.version = version
            each.accept(result)
        for each, result, fingerprint in decision.twins:
            if each.request.key is not None and each.request.key.fingerprint == fingerprint:
                each.accept(CommandResult(result.status, result.body, replayed=True))
            else:
                each.fail(KeyReusedError())
        for each, error in decision.refused:
            if isinstance(error, VersionConflictError):
                self._metrics.conflicts.inc()
            each.fail(error)

    def _unless_over(
        self, waiting: list[Waiting], conflict: VersionConflictError, conflicts: int, deadline: float
    ) -> list[Waiting]:
        """Those who are decided anew after a conflict. The others are told of it."""
        over = conflicts >= self._attempts or time.monotonic() >= deadline
        left = []
        for each in waiting:
            try:
                each.request.precondition.require(each.request.aggregate_key, conflict.actual)
            except VersionConflictError as error:
                each.fail(error)
                continue
            if over:
                each.fail(conflict)
                continue
            each.retries += 1
            self._metrics.conflict_retries.inc()
            left.append(each)
        if left:
            time.sleep(_PAUSES.delay(conflicts))
        return left

    def _count(self, decision: _Decision, history: History) -> None:
        self._metrics.appends.inc()
        self._metrics.events.inc(len(history.events))
        self._metrics.write_retries.inc(history.retries)
        draft = decision.draft
        a_write = history.write_units / (len(draft.events) + len(draft.commands))
        before = draft.after
        for each, _, version in decision.accepted:
            each.together = len(decision.accepted)
            each.write_units = a_write * (version - before + (each.request.key is not None))
            self._metrics.write_units.labels(each.request.command.name).inc(each.write_units)
            before = version


def _used_ids(loaded: Loaded, waiting: Sequence[Waiting]) -> Iterable[str]:
    """The ids that some of the commands have to know of, each once."""
    asked = (each.request.command.used_id(loaded.aggregate.state) for each in waiting)
    return dict.fromkeys(used_id for used_id in asked if used_id is not None)


def _without(waiting: list[Waiting], recorded: CommandRecordedError) -> list[Waiting]:
    """Those whose key was not recorded before. The others are told so."""
    left = []
    for each in waiting:
        if each.request.key is not None and each.request.key.command_id in recorded.command_ids:
            each.fail(recorded)
        else:
            left.append(each)
    return left
