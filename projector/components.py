"""The projector's components, wired for the worker and for the operator's commands alike."""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger.aggregates.aggregate_type import AggregateTypes
from ledger.aggregates.domain import load_domain
from ledger.audit.audit_log import AuditLog
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.table_identity import TableGuard, TableIdentities
from ledger.store.tables import Names
from projector.dead_letters.aggregate_halts import AggregateHalts
from projector.dead_letters.letters import DeadLetters, Skips
from projector.dead_letters.redrive import Redrive
from projector.dead_letters.storm_guard import StormGuard
from projector.engine.control_rows import ControlView, Generations
from projector.engine.projector import Projector
from projector.engine.read_model import ReadModel
from projector.engine.read_model_registry import ReadModels
from projector.ingest.batch_handler import BatchHandler
from projector.ingest.feeder import Feeder
from projector.ingest.projector_set import Projectors
from projector.metrics import Metrics
from projector.projection import Projection
from projector.settings import ProjectorSettings

if TYPE_CHECKING:
    from projector.ingest.batch_trace import BatchTrace

#: Window, in seconds, in which ``storm_limit`` aggregates may be halted.
STORM_WINDOW = 60.0


@dataclass(frozen=True, slots=True)
class Components:
    """What works on one profile's read models. Made by ``build_components``; owns no thread."""

    settings: ProjectorSettings
    #: All of the domain, also those that no projection takes.
    aggregates: AggregateTypes
    names: Names
    clients: Clients
    store: EventStore
    letters: DeadLetters
    skips: Skips
    generations: Generations
    models: ReadModels
    projectors: Projectors
    aggregate_halts: AggregateHalts
    redrive: Redrive
    guard: TableGuard
    metrics: Metrics
    audit: AuditLog

    @property
    def projections(self) -> tuple[Projection[Any], ...]:
        """What is projected."""
        return tuple(self.models.projections.values())

    def new_projectors(self) -> list[Projector[Any]]:
        """New projectors of what is fed at this moment, for one operation: the worker's own are not thread-safe."""
        self.models.refresh()
        return Projectors(self.models, self.store, self.skips, self.metrics, cache_size=1).fed()

    def batch_handler(self, new_trace: "Callable[[], BatchTrace] | None" = None) -> BatchHandler:
        """The handler of a worker's batches, on its own projectors."""
        table, taken = self.names.events, taken_by(self.projections)
        return BatchHandler(
            self.projectors, self.aggregate_halts, self.store, self.guard, table, taken, self.metrics, new_trace
        )

    def feeder(self, model: ReadModel[Any], *, cache_size: int) -> Feeder:
        """A feeder of one generation, with a projector of its own. ``cache_size``: rows kept in memory."""
        skipped = self.skips.of(model.projection.name)
        projector = Projector(self.store, model, self.metrics, skipped=skipped, cache_size=cache_size)
        return Feeder(lambda: [projector], self.aggregate_halts, self.store)

    def feeder_of_all(self, projection: Projection[Any], *, cache_size: int) -> Feeder:
        """A feeder of every generation that is fed: whoever brings the shown one on brings on what will replace it."""
        projectors = Projectors(self.models, self.store, self.skips, self.metrics, cache_size=cache_size)
        return Feeder(
            lambda: [each for each in projectors.fed() if each.model.projection.name == projection.name],
            self.aggregate_halts,
            self.store,
        )


def build_components(
    settings: ProjectorSettings,
    clients: Clients,
    executor: Executor,
    projections: tuple[Projection[Any], ...] | None = None,
) -> Components:
    """Wire the components; makes no call. ``executor`` runs the bulk writes. ``projections``: by default the domain's.

    Raises ConfigurationError for a domain that cannot be used.
    """
    domain = load_domain(settings.domain)
    if projections is None:
        projections = domain.parts("PROJECTIONS", Projection)
    names = Names(settings.profile, settings.events_table)
    metrics = Metrics()
    store = EventStore(clients.dynamodb, names.events)
    letters = DeadLetters(clients.dynamodb, names.dead_letters)
    skips = Skips(letters)
    generations = Generations(clients.dynamodb, names.projections)
    view = ControlView(generations, [projection.name for projection in projections])
    models = ReadModels(clients.dynamodb, names.profile, projections, view, executor)
    storm = StormGuard(settings.storm_limit, STORM_WINDOW)
    aggregate_halts = AggregateHalts(letters, skips, models, storm, metrics, names.events)
    return Components(
        settings=settings,
        aggregates=domain.aggregates,
        names=names,
        clients=clients,
        store=store,
        letters=letters,
        skips=skips,
        generations=generations,
        models=models,
        projectors=Projectors(models, store, skips, metrics, cache_size=settings.cache_size),
        aggregate_halts=aggregate_halts,
        redrive=Redrive(store, letters, skips, aggregate_halts, names.events, taken_by(projections).fits),
        guard=TableGuard(TableIdentities(clients.dynamodb, names), skips.reload),
        metrics=metrics,
        audit=AuditLog(clients.dynamodb, names.audit),
    )


def taken_by(projections: Iterable[Projection[Any]]) -> AggregateTypes:
    """The aggregate types that some of the projections take."""
    return AggregateTypes({kind.name: kind for each in projections for kind in each.aggregates}.values())
