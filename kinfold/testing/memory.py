"""An event store and a read model in memory, which the projector's own engine works on."""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from kinfold.testing.history import History
from ledger.errors import EndpointError
from ledger.store.stored_event import StoredEvent
from projector.engine.projector import Projector
from projector.engine.read_model import ReadModel, RowChange, RowKey, UnreadableRowError
from projector.metrics import Metrics
from projector.projection import Projection, Row

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

S = TypeVar("S")

#: Of all workers: nobody reads them.
_METRICS: Final = Metrics()


class MemoryEvents:
    """What the engine asks of an event store, answered from histories."""

    def __init__(self, histories: Iterable[History[Any, Any]]) -> None:
        self._stored = {history.key: history.stored for history in histories}

    def read(self, aggregate_id: str, *, after: int = 0, until: int | None = None) -> Iterator[StoredEvent]:
        """The events ``after < sequence number <= until``."""
        yield from self._stored[aggregate_id][after:until]


class MemoryReadModel(ReadModel[S], Generic[S]):
    """A read model whose rows are held in DynamoDB's notation, under the conditions of the real one.

    It parses and writes rows by the code of the real one; only the requests that carry them are left out.
    """

    def __init__(self, projection: Projection[S]) -> None:
        # Nothing here makes a request, and nothing is written in parallel.
        nothing = cast("DynamoDBClient", None)
        super().__init__(nothing, projection, projection.table("memory", 1), cast(Executor, None))
        self.items: dict[RowKey, dict[str, Any]] = {}
        #: How many rows are still written before the endpoint fails; None: it does not.
        self.fails_after: int | None = None

    def read(self, keys: Iterable[RowKey]) -> tuple[dict[RowKey, Row[S]], dict[str, UnreadableRowError]]:
        """The rows of these keys that there are."""
        return {key: self.row(self.items[key]) for key in keys if key in self.items}, {}

    def write(self, changes: Sequence[RowChange[S]]) -> set[RowKey]:
        """Apply each change on its condition. Returns the keys whose condition was lost. Raises EndpointError."""
        lost = set()
        for change in changes:
            row, key = change.row, (change.row.aggregate_id, change.row.part)
            found = self.row(self.items[key]) if key in self.items else None
            if (found.version if found else None) != change.replaces:
                lost.add(key)
                continue
            if self.fails_after is not None:
                if self.fails_after == 0:
                    raise EndpointError("the endpoint fails, as the test wants it")
                self.fails_after -= 1
            self.items[key] = json.loads(json.dumps(self.image(row)))
        return lost

    def worker(self, events: MemoryEvents) -> Projector[S]:
        """One more projector that works on the read model."""
        return Projector(events, self, _METRICS, skipped=lambda *_: False)
