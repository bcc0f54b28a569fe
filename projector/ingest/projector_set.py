"""The projectors in use: one for each read model that workers feed."""

from typing import Any

from projector.dead_letters.letters import Skips
from projector.engine.gap_repair import SharedReads, StoredEvents
from projector.engine.projector import Projector
from projector.engine.read_model import ReadModel
from projector.engine.read_model_registry import ReadModels
from projector.metrics import Metrics


class Projectors:
    """The projector of each fed read model. Not thread-safe."""

    def __init__(
        self, models: ReadModels, store: StoredEvents, skips: Skips, metrics: Metrics, *, cache_size: int
    ) -> None:
        """``cache_size``: rows kept in memory for each read model."""
        self._models = models
        self._store = SharedReads(store)
        self._skips = skips
        self._metrics = metrics
        self._cache_size = cache_size
        self._projectors: dict[str, Projector[Any]] = {}

    def fed(self) -> list[Projector[Any]]:
        """The projectors of what is fed, for one batch: all together read once what its gaps lack.

        That of a generation which is no longer fed is dropped with its cache.
        """
        self._store.forget()
        models = self._models.fed()
        self._projectors = {model.table: self._projectors.get(model.table) or self._make(model) for model in models}
        return list(self._projectors.values())

    def _make(self, model: ReadModel[Any]) -> Projector[Any]:
        skipped = self._skips.of(model.projection.name)
        return Projector(self._store, model, self._metrics, skipped=skipped, cache_size=self._cache_size)
