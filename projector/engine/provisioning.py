"""The projector's tables, and what must be there before the first event: control rows, and a table per generation."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import structlog

from aws_client.tables import TableSpec
from ledger.runtime.aws import aws_errors
from ledger.store.table_identity import TableIdentities
from ledger.store.tables import Names, ensure_table
from projector.engine.control_rows import Generations
from projector.engine.read_model import table_spec
from projector.projection import Projection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)


def control_specs(names: Names) -> tuple[TableSpec, ...]:
    """The tables of dead letters and of control rows. ``prepare`` makes those of the projections' generations."""
    return TableSpec(names.dead_letters, (("id", "S"),)), TableSpec(names.projections, (("projection", "S"),))


def prepare(dynamodb: "DynamoDBClient", names: Names, projections: Iterable[Projection[Any]]) -> None:
    """Create the control row of each projection that has none, and the table of each generation that is fed.

    Records which events table it all is derived from, where that is not yet recorded.

    Idempotent and safe to race. A projection that is new to a ledger with events starts empty and fills as aggregates
    move; a log line says to rebuild it. Raises ResourceError, ThrottledError or EndpointError.
    """
    TableIdentities(dynamodb, names).begin()
    generations = Generations(dynamodb, names.projections)
    for projection in projections:
        is_new = generations.begin(projection.name)
        for generation in generations.read(projection.name).fed:
            ensure_table(dynamodb, table_spec(projection, names.profile, generation))
        if is_new and _any_event(dynamodb, names.events):
            log.warning(
                "projection_is_new",
                projection=projection.name,
                action=f"kinfold projector rebuild --projection {projection.name}: the stream may not hold all events",
            )


def _any_event(dynamodb: "DynamoDBClient", table: str) -> bool:
    with aws_errors(f"looking for an event in {table}"):
        return bool(dynamodb.scan(TableName=table, Limit=1, Select="COUNT")["Count"])
