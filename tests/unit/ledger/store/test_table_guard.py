"""What the guard of the events table tells Prometheus."""

from typing import Any, cast

from prometheus_client import CollectorRegistry

from ledger.store.errors import TableReplacedError
from ledger.store.table_identity import TableGuard, TableIdentity


class Identities:
    """The identity of a table that somebody may have made anew."""

    def __init__(self) -> None:
        self.replaced = False

    def examine(self) -> tuple[TableIdentity | None, str | None]:
        if self.replaced:
            raise TableReplacedError("it was made anew")
        return TableIdentity("1", "events"), "1"


def test_the_gauge_follows_what_the_guard_finds() -> None:
    identities, registry = Identities(), CollectorRegistry()
    guard = TableGuard(cast("Any", identities))
    guard.expose(registry)
    told = []
    for identities.replaced in (False, True, False):
        guard.look()
        told.append(registry.get_sample_value("kinfold_events_table_replaced"))
    assert told == [0, 1, 0]
