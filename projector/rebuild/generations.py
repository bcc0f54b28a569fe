"""The tables of generations: list them, abort builds, drop old ones."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import structlog
from botocore.exceptions import ClientError

from aws_client.failures import is_not_found
from ledger.errors import PermanentError
from ledger.runtime.aws import aws_errors
from ledger.store.tables import Names
from projector.engine.control_rows import Generations
from projector.projection import Projection
from projector.rebuild.build_lease import BuildStore
from projector.rebuild.rebuild import SEEN_BY_ALL

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

#: active: readers see it. building: a rebuild fills it. retiring: workers feed it, readers no longer see it. old: it is
#: unused.
GenerationState = Literal["active", "building", "retiring", "old"]


class GenerationInUseError(PermanentError):
    """A generation that readers see, or that a rebuild fills, cannot be dropped."""


class NoSuchGenerationError(PermanentError):
    """The projection never had a generation of this number."""


@dataclass(frozen=True, slots=True)
class GenerationTable:
    """One generation's table. ``rows``: as DynamoDB counts them, updated every six hours."""

    projection: str
    generation: int
    standing: GenerationState
    table: str
    rows: int


class GenerationTables:
    """The tables of a profile's generations. Raises ThrottledError, EndpointError or ResourceError."""

    def __init__(self, dynamodb: "DynamoDBClient", names: Names) -> None:
        self._dynamodb = dynamodb
        self._profile = names.profile
        self._generations = Generations(dynamodb, names.projections)
        self._builds = BuildStore(dynamodb, names.projections)

    def list(self, projection: Projection[Any]) -> list[GenerationTable]:
        """Every generation of the projection that has a table, in order."""
        control = self._generations.read(projection.name)
        found = []
        for generation in sorted(self._numbers(projection)):
            standing: GenerationState = "old"
            if generation == control.active:
                standing = "active"
            elif generation == control.building:
                standing = "building"
            elif generation in control.fed:
                standing = "retiring"
            table = projection.table(self._profile, generation)
            with aws_errors(f"describing table {table}"):
                rows = int(self._dynamodb.describe_table(TableName=table)["Table"].get("ItemCount", 0))
            found.append(GenerationTable(projection.name, generation, standing, table, rows))
        return found

    def abort(self, projections: Iterable[Projection[Any]], report: Callable[[str], None]) -> Sequence[tuple[str, int]]:
        """Give up the builds under way, running or dead, and delete their tables; returns projection and generation.

        A running builder finds out at its next beat and stops. Safe to repeat. When it is interrupted, the tables stay,
        as old generations.
        """
        given_up = []
        for projection in projections:
            build = self._builds.read(projection.name)
            if build is not None:
                self._builds.give_up(build)
                given_up.append((projection, build.generation))
        self._drop(given_up, report)
        return [(projection.name, generation) for projection, generation in given_up]

    def drop(self, projection: Projection[Any], generation: int, report: Callable[[str], None]) -> None:
        """Delete a generation's table for good, once nobody feeds it any more. No error when it is gone already.

        Raises GenerationInUseError and NoSuchGenerationError, too.
        """
        self._generations.read(projection.name)
        last = self._builds.last(projection.name)
        if generation > last:
            raise NoSuchGenerationError(
                f"there is no generation {generation} of {projection.name}; it has had 1 to {last}: "
                f"`kinfold projector generations list` shows those that are left"
            )
        if not self._builds.retire(projection.name, generation):
            raise GenerationInUseError(
                f"generation {generation} of {projection.name} is active or being built: it stays"
            )
        self._drop([(projection, generation)], report)

    def _drop(self, generations: Sequence[tuple[Projection[Any], int]], report: Callable[[str], None]) -> None:
        if generations:
            report(f"waiting {SEEN_BY_ALL:.0f} s until no worker and no reader uses it ...")
            time.sleep(SEEN_BY_ALL)
        for projection, generation in generations:
            table = projection.table(self._profile, generation)
            with aws_errors(f"deleting table {table}"):
                try:
                    self._dynamodb.delete_table(TableName=table)
                except ClientError as error:
                    if not is_not_found(error):
                        raise
            log.warning("generation_dropped", projection=projection.name, generation=generation, table=table)

    def _numbers(self, projection: Projection[Any]) -> Sequence[int]:
        prefix = projection.table(self._profile, 0).removesuffix("0")
        named = re.compile(re.escape(prefix) + r"([1-9][0-9]*)")
        with aws_errors("listing tables"):
            pages = self._dynamodb.get_paginator("list_tables").paginate()
            tables = [table for page in pages for table in page["TableNames"]]
        return [int(match[1]) for table in tables if (match := named.fullmatch(table))]
