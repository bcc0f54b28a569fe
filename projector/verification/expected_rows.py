"""The rows that an aggregate should have, folded as its events come, so that no history is held. Pure."""

from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from math import inf
from typing import Any, Final, Generic, Self, TypeVar

from ledger.errors import PermanentError
from ledger.store.stored_event import StoredEvent
from projector.projection import HEAD, Projection, Row, failed

S = TypeVar("S")

#: Far as the history goes.
_NO_LIMITS: Final[Mapping[str, float]] = {HEAD: inf}


class ExpectedRows(Generic[S]):
    """One aggregate's rows in one read model, by the projection's witness where it has one, else by its fold."""

    def __init__(
        self,
        projection: Projection[S],
        aggregate_id: str,
        skipped: Callable[[str, int], bool],
        limits: Mapping[str, float] = _NO_LIMITS,
        *,
        witnessed: bool = True,
    ) -> None:
        """``limits``: by part, the version up to which a row is folded; no part is behind the head, and without a limit
        of its own there is no head.
        """
        self.aggregate_id = aggregate_id
        #: The version up to which events were added, and why some of them cannot be folded.
        self.stored = 0
        self.failure: PermanentError | None = None
        self._projection = projection
        self._skipped = skipped
        self._limits = limits
        self._head_limit = limits.get(HEAD, 0)
        self._furthest = max(limits.values(), default=0)
        self._witnessed = witnessed
        self._head_at: StoredEvent | None = None
        self._parts: dict[str, _PartFold[S]] = {}

    def add(self, event: StoredEvent) -> None:
        """Fold the next event."""
        number = self.stored = event.sequence_number
        if number > self._furthest or self.failure is not None:
            return
        in_head = number <= self._head_limit
        if in_head:
            self._head_at = event
        if self._skipped(self.aggregate_id, number):
            return
        try:
            decoded = self._projection.decode(event)
            part = self._projection.part_by(decoded, event)
            if in_head or number <= self._limits.get(part, 0):
                fold = self._parts.get(part)
                if fold is None:
                    fold = self._parts[part] = _PartFold(self._projection, self.aggregate_id, part, self._witnessed)
                fold.add(decoded, event)
        except PermanentError as error:
            self.failure = error

    def copy(self) -> Self:
        """The same, to be folded on by itself. States are frozen, and shared."""
        copied = copy(self)
        copied._parts = {part: fold.copy() for part, fold in self._parts.items()}
        return copied

    def states(self) -> dict[str, S | None]:
        """The states alone, by part (HEAD without parts), that of the last event last. Raises as ``rows`` does."""
        if self.failure is not None:
            raise self.failure
        by_last = sorted(self._parts.items(), key=lambda each: each[1].version)
        return {part: fold.state() for part, fold in by_last}

    def rows(self) -> dict[str, Row[S]]:
        """The rows by part, as far as the events go. Raises why they cannot be folded."""
        if self.failure is not None:
            raise self.failure
        rows = {}
        if HEAD in self._limits:
            at = self._head_at
            state = self._parts[HEAD].state() if HEAD in self._parts else None
            version, event_hash = (at.sequence_number, at.event_hash) if at else (0, None)
            rows[HEAD] = Row(self.aggregate_id, HEAD, version, state, event_hash=event_hash)
        if self._projection.part is not None:
            rows |= {part: fold.row() for part, fold in self._parts.items()}
        return rows


class _PartFold(Generic[S]):
    def __init__(self, projection: Projection[S], aggregate_id: str, part: str, witnessed: bool) -> None:
        self._first: Row[S] = Row(aggregate_id, part, 0, None)
        self._projection = projection
        self._witness = projection.witness_of(aggregate_id) if witnessed else None
        self._state: S | None = None
        self._last: StoredEvent | None = None

    def add(self, event: Any, stored: StoredEvent) -> None:
        if self._witness is None:
            self._state = self._projection.folded(self._state, event, stored)
        else:
            try:
                self._witness.add(event, stored)
            except (PermanentError, MemoryError):
                raise
            except Exception as error:
                raise failed("witness", stored, error) from error
        self._last = stored

    @property
    def version(self) -> int:
        return self._last.sequence_number if self._last is not None else 0

    def copy(self) -> Self:
        copied = copy(self)
        copied._witness = deepcopy(self._witness)
        return copied

    def state(self) -> S | None:
        if self._witness is None:
            return self._state
        assert self._last is not None
        try:
            return self._witness.states().get(self._first.part)
        except (PermanentError, MemoryError):
            raise
        except Exception as error:
            raise failed("witness", self._last, error) from error

    def row(self) -> Row[S]:
        assert self._last is not None
        return self._first.advanced(self._last, self.state())
