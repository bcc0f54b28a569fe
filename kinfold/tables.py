"""Every table of a profile: each service names its own, and ``kinfold bridge ensure`` makes them all."""

from aws_client.tables import TableSpec
from faust_kinesis.kcl.coordination.tables import kcl_specs
from ledger.audit.audit_log import audit_spec
from ledger.store.tables import Names, store_specs
from projector.engine.provisioning import control_specs
from stream_bridge.provisioning.bridge import bridge_specs


def all_specs(names: Names) -> tuple[TableSpec, ...]:
    """Every table but those of the projections' generations, which a projector makes when it starts."""
    return (*service_specs(names), *kcl_specs(names.leases))


def service_specs(names: Names) -> tuple[TableSpec, ...]:
    """The tables that a service needs before it starts: all but KCL's, which a worker makes if they are missing."""
    return (*store_specs(names), *control_specs(names), *bridge_specs(names), audit_spec(names))
