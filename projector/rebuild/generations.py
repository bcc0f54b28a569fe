"""The tables of generations: listed, given up while they are built, dropped when nobody needs them."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from botocore.exceptions import ClientError

from aws_client.failures import is_not_found
from ledger.errors import PermanentError
from ledger.runtime.aws import aws_errors
from projector.components import Components
from projector.projection import Projection
from projector.rebuild.build_lease import Builds
from projector.rebuild.rebuild import SEEN_BY_ALL

log = structlog.get_logger(__name__)

#: active: readers see it. building: a rebuild fills it. retiring: workers feed it, readers no longer see it. old:
#: nobody touches it.
GenerationState = Literal["active", "building", "retiring", "old"]


class GenerationInUseError(PermanentError):
    """A generation that readers see, or that a rebuild fills, cannot be dropped."""


@dataclass(frozen=True, slots=True)
class GenerationTable:
    """One generation's table. ``rows`` as DynamoDB counts them, which AWS brings up to date every six hours."""

    projection: str
    generation: int
    standing: GenerationState
    table: str
    rows: int


def generation_tables(components: Components, projections: Iterable[Projection[Any]]) -> list[GenerationTable]:
    """Every generation that has a table, by projection. Raises ThrottledError, EndpointError or ResourceError."""
    return [each for projection in projections for each in _tables_of(components, projection)]


def _tables_of(components: Components, projection: Projection[Any]) -> list[GenerationTable]:
    control = components.generations.read(projection.name)
    found = []
    for generation in sorted(_generations(components, projection)):
        standing: GenerationState = "old"
        if generation == control.active:
            standing = "active"
        elif generation == control.building:
            standing = "building"
        elif generation in control.fed:
            standing = "retiring"
        table = projection.table(components.names.profile, generation)
        with aws_errors(f"describing table {table}"):
            rows = int(components.clients.dynamodb.describe_table(TableName=table)["Table"].get("ItemCount", 0))
        found.append(GenerationTable(projection.name, generation, standing, table, rows))
    return found


def _generations(components: Components, projection: Projection[Any]) -> list[int]:
    prefix = projection.table(components.names.profile, 0).removesuffix("0")
    named = re.compile(re.escape(prefix) + r"([1-9][0-9]*)")
    with aws_errors("listing tables"):
        pages = components.clients.dynamodb.get_paginator("list_tables").paginate()
        names = [name for page in pages for name in page["TableNames"]]
    return [int(match[1]) for name in names if (match := named.fullmatch(name))]


def abort(
    components: Components, projections: Sequence[Projection[Any]], report: Callable[[str], None]
) -> list[tuple[str, int]]:
    """Give up the builds under way, dead or alive, and delete their tables; returns projection and generation of each.

    A builder that is at work finds out at its next beat and stops. Safe to repeat; when it is interrupted, the tables
    are left, as old generations. Raises ThrottledError, EndpointError or ResourceError.
    """
    builds = Builds(components.clients.dynamodb, components.names.projections)
    given_up = []
    for projection in projections:
        build = builds.read(projection.name)
        if build is not None:
            builds.give_up(build)
            given_up.append((projection, build.generation))
    _drop(components, given_up, report)
    return [(projection.name, generation) for projection, generation in given_up]


def drop(components: Components, projection: Projection[Any], generation: int, report: Callable[[str], None]) -> None:
    """Delete a generation's table for good, after nobody feeds it any more. No error when there is none.

    Raises GenerationInUseError, ThrottledError, EndpointError or ResourceError.
    """
    builds = Builds(components.clients.dynamodb, components.names.projections)
    if not builds.retire(projection.name, generation):
        raise GenerationInUseError(f"generation {generation} of {projection.name} is active or being built: it stays")
    _drop(components, [(projection, generation)], report)


def _drop(
    components: Components, generations: Sequence[tuple[Projection[Any], int]], report: Callable[[str], None]
) -> None:
    if generations:
        report(f"waiting {SEEN_BY_ALL:.0f} s until no worker and no reader uses it ...")
        time.sleep(SEEN_BY_ALL)
    for projection, generation in generations:
        table = projection.table(components.names.profile, generation)
        with aws_errors(f"deleting table {table}"):
            try:
                components.clients.dynamodb.delete_table(TableName=table)
            except ClientError as error:
                if not is_not_found(error):
                    raise
        log.warning("generation_dropped", projection=projection.name, generation=generation, table=table)
