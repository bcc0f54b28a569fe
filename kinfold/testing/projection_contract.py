"""What the machine asks of a projection, as tests."""

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import msgspec
import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import strategies as st

from kinfold.testing.contract import Contract, for_all
from kinfold.testing.difference import hold, same
from kinfold.testing.history import History
from kinfold.testing.memory import MemoryEvents, MemoryReadModel
from ledger.aggregates.aggregate_type import AnyType
from ledger.errors import EndpointError
from ledger.store.parallel_scan import Item
from ledger.store.stored_event import StoredEvent
from ledger.store.transactions import MAX_ITEM_BYTES
from projector.projection import ALL_PARTS, HEAD, Projection, UnprojectableEventError
from projector.verification.comparison import AggregateHistory, StoredRow, compare
from projector.verification.expected_rows import ExpectedRows

#: AWS, "Amazon DynamoDB quotas": bytes in a sort key.
_LONGEST_PART: Final = 1024


@dataclass(frozen=True)
class Batch:
    """Events (of which history, which number) as a worker gets them; after how many rows it is killed, if it is."""

    worker: int
    events: tuple[tuple[int, int], ...]
    killed_after: int | None = None


@dataclass(frozen=True)
class Delivery:
    """Histories of some aggregates, and what the stream makes of them: any order, repetition and loss.

    Of each, the last event comes in the end: until one comes, nothing tells a projector that it is behind.
    """

    histories: tuple[History[Any, Any], ...]
    batches: tuple[Batch, ...]


@st.composite
def deliveries(draw: st.DrawFn, histories: st.SearchStrategy[History[Any, Any]]) -> Delivery:
    """Deliveries of one or two histories to two workers, of which either may be killed in the middle of a batch."""
    several = draw(st.lists(histories.filter(lambda one: one.events), min_size=1, max_size=2, unique_by=_key))
    every = [(at, number) for at, one in enumerate(several) for number in range(1, len(one.events) + 1)]
    shown = st.lists(st.sampled_from(every), min_size=1, max_size=len(every)).map(tuple)
    batches = draw(st.lists(st.builds(Batch, st.integers(0, 1), shown, st.none() | st.integers(0, 3)), max_size=5))
    last = Batch(draw(st.integers(0, 1)), tuple((at, len(one.events)) for at, one in enumerate(several)))
    return Delivery(tuple(several), (*batches, last))


class ProjectionContract(Contract):
    """Holds a projection to what makes its rows right whatever the stream does. Subclass it, name the two::

        class TestBalanceSummary(ProjectionContract):
            projection = BALANCE_SUMMARY
            histories = histories(ACCOUNT, commands(ACCOUNTS, bet_id=st.sampled_from(["b1", "b2"])))

    For a projection of several aggregate types, ``histories(...) | histories(...)``. It holds that

    - delivered in any order, repeated, lost, to two workers that are killed in the middle of a batch, every row is the
      fold of the events up to the furthest one that was delivered, as verify would say;
    - the witness, where there is one, agrees with the fold at every version;
    - every state survives its columns, every row what DynamoDB can hold; a part's name is one that a client can name;
    - a payload of an older schema leads to the rows of the event that it is read as.

    The engine, the rows and the comparison are the projector's and verify's own code. What stands in is the table, in
    memory, and the event store: requests, throttling, halts and operators' skips are the machine's own, tested there.
    """

    projection: ClassVar[Projection[Any]]
    histories: ClassVar[st.SearchStrategy[History[Any, Any]]]

    @property
    def drawn(self) -> st.SearchStrategy[History[Any, Any]]:
        """The histories that were given."""
        return self.histories

    @property
    def kinds(self) -> Iterable[AnyType]:
        """The aggregate types that it takes."""
        return self.projection.aggregates

    def test_any_delivery_leads_to_the_fold(self) -> None:
        """Any order, repetition and loss, to two workers that may be killed: every row is the fold of its events."""

        def holds(delivery: Delivery) -> None:
            model = MemoryReadModel(self.projection)
            events = MemoryEvents(delivery.histories)
            workers = [model.worker(events) for _ in range(2)]
            reached = dict.fromkeys(range(len(delivery.histories)), 0)
            for batch in delivery.batches:
                delivered = [delivery.histories[at].stored[number - 1] for at, number in batch.events]
                worker, model.fails_after = workers[batch.worker], batch.killed_after
                if batch.killed_after is not None:
                    with contextlib.suppress(EndpointError):
                        worker.apply(delivered)
                    worker, model.fails_after = workers[1 - batch.worker], None
                for poison in worker.apply(delivered):
                    event = f"event {poison.sequence_number}, {poison.event and poison.event.payload}"
                    raise AssertionError(f"{event}, came about, and cannot be folded: {poison.reason}")
                for at, number in batch.events:
                    reached[at] = max(number, reached[at])
                for at, number in reached.items():
                    self._agree(model, delivery.histories[at], number, replace(self.projection, witness=None))

        for_all(holds, deliveries(self.drawn))

    def test_the_witness_agrees(self) -> None:
        """Computed by other code, the rows are the same at every version."""
        if self.projection.witness is None:
            pytest.skip(f"{self.projection.name} has no witness: verify compares its rows with its own fold")

        def holds(history: History[Any, Any]) -> None:
            model = MemoryReadModel(self.projection)
            worker = model.worker(MemoryEvents([history]))
            for event in history.stored:
                worker.apply([event])
                self._agree(model, history, event.sequence_number, self.projection)

        for_all(holds, self.drawn)

    def test_rows_are_what_a_table_can_hold(self) -> None:
        """Every state is read from its columns as it was, every part by its name, and DynamoDB can hold the row."""

        def holds(history: History[Any, Any]) -> None:
            model = MemoryReadModel(self.projection)
            for version in range(1, len(history.stored) + 1):
                for part, row in self._rows(history.stored[:version]).items():
                    item = model.image(row)
                    _holdable(item)
                    read = model.row(item)
                    same(row, read, "a row is read as another")
                    json.dumps(self.projection.page(row, [row]))
                    if part != HEAD:
                        self._part_can_be_named(part)

        for_all(holds, self.drawn)

    def test_old_payloads_lead_to_the_same_rows(self) -> None:
        """An event of an older schema, after any history, leads to what the event that it is read as leads to."""
        old = [(kind, *each) for kind in self.kinds for each in self.old_events(kind)]

        def holds(history: History[Any, Any]) -> None:
            for kind, event_type, payload in old:
                if kind.name != history.kind.name:
                    continue
                past = history.stored
                event = kind.events.decode(event_type, payload, len(past) + 1)
                today = history.then([event]).stored[-1]
                read = self._states([*past, today])
                found = self._states([*past, msgspec.structs.replace(today, payload=payload)])
                same(read, found, f"{event_type} of an older schema leads to another row")

        if old:
            for_all(holds, self.drawn)

    def _agree(
        self, model: MemoryReadModel[Any], history: History[Any, Any], version: int, projection: Projection[Any]
    ) -> None:
        """The rows of the history are, as verify sees them, those of its events up to ``version``."""
        items = {part: item for (key, part), item in model.items.items() if key == history.key}
        rows = {part: StoredRow(item, model.row(item)) for part, item in items.items()}
        events = AggregateHistory(history.key, history.stored[:version], lambda *_: False)
        compared = compare(projection, model.image, events, rows)
        hold(
            compared.kind == "agrees",
            f"after event {version} of {history.key}, its rows are {compared.kind}: {compared.reason}",
        )

    def _rows(self, stored: Iterable[StoredEvent]) -> Mapping[str, Any]:
        events = list(stored)
        folded = ExpectedRows(self.projection, events[0].aggregate_id, lambda *_: False, witnessed=False)
        for event in events:
            folded.add(event)
        return folded.rows()

    def _states(self, stored: Iterable[StoredEvent]) -> object:
        """The states by part, or why an event cannot be folded."""
        try:
            return {part: row.state for part, row in self._rows(stored).items()}
        except UnprojectableEventError as error:
            return error.reason

    def _part_can_be_named(self, part: str) -> None:
        parse = self.projection.parse_part
        first, last = ALL_PARTS
        hold(first <= part <= last, f"part {part!r} does not sort among the parts, {first!r} to {last!r}")
        hold(len(part.encode()) <= _LONGEST_PART, f"part {part[:40]!r} is longer than {_LONGEST_PART} bytes")
        assert parse is not None
        hold(parse(part) == part, f"a client who names part {part!r} is shown {parse(part)!r}")


def _holdable(item: Item) -> None:
    """DynamoDB takes the item: its numbers have 38 digits at most, its text is UTF-8, it is not too large."""
    size = len(json.dumps(item, ensure_ascii=False).encode())
    hold(size <= MAX_ITEM_BYTES, f"a row of {size} bytes: DynamoDB holds {MAX_ITEM_BYTES}")
    for name, value in item.items():
        try:
            TypeDeserializer().deserialize(value)
        except (ArithmeticError, TypeError) as error:
            raise AssertionError(f"column {name}: DynamoDB cannot hold {value}: {error!r}") from error


def _key(history: History[Any, Any]) -> str:
    return history.key
