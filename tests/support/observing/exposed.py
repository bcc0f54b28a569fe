"""What the services' registries expose, without a service that runs."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

from prometheus_client import CollectorRegistry

from betting.projections import PROJECTIONS
from ledger.runtime.aws import Clients
from ledger.store.table_identity import TableGuard, TableIdentities
from ledger.store.tables import Names
from projector.components import build_components
from projector.settings import ProjectorSettings
from projector.status.gauges import Gauges
from stream_bridge.relay.health import RelayHealth
from stream_bridge.watch.daemon import WatchMetrics
from writer.metrics import Metrics as WriterMetrics

#: What follows a family's name in the names of its samples, by its type, and the label that only these have.
_SAMPLES: Final = {
    "counter": {"_total": ""},
    "gauge": {"": ""},
    "histogram": {"_bucket": "le", "_sum": "", "_count": ""},
}


def registries() -> dict[str, CollectorRegistry]:
    """The registry of each service, by the name of its job; made with what each serves."""
    settings = ProjectorSettings.model_validate({"endpoint_url": "http://127.0.0.1:1", "region": "us-east-1"})
    with ThreadPoolExecutor(1) as executor:
        components = build_components(settings, Clients(settings), executor, PROJECTIONS)
    Gauges(components)
    others = {"writer": WriterMetrics().registry, "watch": WatchMetrics().registry, "relay": RelayHealth().registry}
    for registry in others.values():
        TableGuard(TableIdentities(cast("Any", None), Names("test"))).expose(registry)
    return {"projector": components.metrics.registry, **others}


def families(registry: CollectorRegistry) -> dict[str, tuple[str, frozenset[str]]]:
    """Name, and type and labels, of each family."""
    found = {}
    for collector in cast("Any", registry)._collector_to_names:
        (family,) = collector.describe()
        found[family.name] = (family.type, frozenset(collector._labelnames))
    return found


def samples() -> dict[str, frozenset[str]]:
    """The labels of every sample that some service exposes, by its name; when a counter began is none."""
    found: dict[str, frozenset[str]] = {}
    for registry in registries().values():
        for name, (kind, labels) in families(registry).items():
            found |= {f"{name}{end}": labels | ({more} - {""}) for end, more in _SAMPLES[kind].items()}
    return found
