"""The read models in use: every registered projection, in the generations that its control row names."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from ledger.store.event_store import EventStore
from projector.dead_letters.letters import Skips
from projector.engine.control_rows import Control, ControlView
from projector.engine.projector import Projector
from projector.engine.read_model import ReadModel
from projector.metrics import Metrics
from projector.projection import Projection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ReadModels:
    """Read models by projection and generation, and the projectors that feed them; each is made once."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        profile: str,
        projections: Iterable[Projection[Any]],
        view: ControlView,
        executor: Executor,
    ) -> None:
        self.projections = {projection.name: projection for projection in projections}
        self._dynamodb = dynamodb
        self._profile = profile
        self._view = view
        self._executor = executor
        self._models: dict[tuple[str, int], ReadModel[Any]] = {}

    def model(self, projection: Projection[Any], generation: int) -> ReadModel[Any]:
        """One generation's read model."""
        key = (projection.name, generation)
        if key not in self._models:
            table = projection.table(self._profile, generation)
            self._models[key] = ReadModel(self._dynamodb, projection, table, self._executor)
        return self._models[key]

    def active(self, projection: Projection[Any]) -> ReadModel[Any]:
        """What readers see, at most two seconds behind a flip. Raises as ``ControlView.current`` does."""
        return self.model(projection, self._view.current()[projection.name].active)

    def controls(self) -> Mapping[str, Control]:
        """Each projection's control row, at most two seconds old. Raises as ``ControlView.current`` does."""
        return self._view.current()

    def fed(self) -> list[ReadModel[Any]]:
        """What workers write to now, of every projection. Raises as ``ControlView.current`` does.

        The newest generation first: so an account is never further in the old one than in the one that a rebuild is
        about to show, and a reader sees no version go back at the flip.
        """
        current = self._view.current()
        return [
            self.model(projection, generation)
            for name, projection in self.projections.items()
            for generation in sorted(current[name].fed, reverse=True)
        ]


class Projectors:
    """The projector of each fed read model. Not to be shared between threads."""

    def __init__(
        self, models: ReadModels, store: EventStore, skips: Skips, metrics: Metrics, *, cache_size: int
    ) -> None:
        """``cache_size``: rows kept in memory for each read model."""
        self._models = models
        self._store = store
        self._skips = skips
        self._metrics = metrics
        self._cache_size = cache_size
        self._projectors: dict[str, Projector[Any]] = {}

    def fed(self) -> list[Projector[Any]]:
        """The projectors of what is fed now; those of a generation that no longer is are dropped with their cache."""
        models = self._models.fed()
        self._projectors = {model.table: self._projectors.get(model.table) or self._make(model) for model in models}
        return list(self._projectors.values())

    def _make(self, model: ReadModel[Any]) -> Projector[Any]:
        skipped = self._skips.of(model.projection.name)
        return Projector(self._store, model, self._metrics, skipped=skipped, cache_size=self._cache_size)
