"""Who builds a generation, and how far: the part of a control row that a rebuild writes.

Every write holds only while the row is still this builder's, so a builder that was taken over, or whose build was given
up, can neither record progress nor flip. The ``beat`` is a counter: a watcher that sees it stand still by its own clock
takes the build over, and no two machines' clocks are ever compared.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from botocore.exceptions import ClientError

from aws_client.failures import is_condition_failed
from ledger.errors import PermanentError
from ledger.runtime.aws import aws_errors
from ledger.store.parallel_scan import Cursor

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Seconds between two beats of a builder, and without one after which it counts as dead.
BEAT: Final = 2.0
STALE: Final = 6.0
_LOOK: Final = 0.5

#: joining: the workers may not feed the new generation yet. scanning: the events table is read. verifying: the new
#: generation is compared with it, account by account.
Phase = Literal["joining", "scanning", "verifying"]


class RebuildRunningError(PermanentError):
    """Another rebuild of the projection is at work."""


class BuildLostError(PermanentError):
    """The build is no longer this process': it was given up, or taken over while this process stood still."""


@dataclass(frozen=True, slots=True)
class Build:
    """A build as its builder last wrote it. ``builder`` is a token of one process; ``cursors``: one a segment."""

    projection: str
    generation: int
    builder: str
    beat: int
    phase: Phase
    cursors: tuple[Cursor, ...]


class Builds:
    """The builds of the control rows. Raises ThrottledError, EndpointError or ResourceError.

    A write whose answer was lost, and which is refused when the SDK sends it again, is recognised as one's own.
    """

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def read(self, projection: str) -> Build | None:
        """The build under way, dead or alive; None when there is none."""
        return _build(self._row(projection))

    def watch(self, builds: Sequence[Build], *, sleep: Callable[[float], object] = time.sleep) -> None:
        """Return once each of the builds has been silent for STALE seconds.

        Raises RebuildRunningError at the first beat, and for one that ended or changed hands meanwhile.
        """
        until = time.monotonic() + STALE
        while time.monotonic() < until and builds:
            sleep(_LOOK)
            for build in builds:
                now = self.read(build.projection)
                if now is None or (now.builder, now.beat) != (build.builder, build.beat):
                    raise RebuildRunningError(
                        f"generation {build.generation} of {build.projection} is being built by another process: wait "
                        f"for it, or end it with `kinfold projector rebuild --abort --projection {build.projection}`"
                    )

    def start(self, projection: str, generation: int, builder: str, *, active: int, segments: int) -> Build:
        """Name a new generation, whose table exists, and have the workers feed it.

        Raises RebuildRunningError when another process was faster, or when ``active`` is no longer the active one.
        """
        build = Build(projection, generation, builder, 0, "joining", (Cursor(),) * segments)
        update = (
            "SET building = :g, #last = :g, builder = :me, beat = :beat, phase = :phase, cursors = :cursors"
            " ADD fed :generations"
        )
        values = {**_values(build), ":generations": {"NS": [str(generation)]}, ":active": {"N": str(active)}}
        started = self._update(
            build,
            update,
            "attribute_not_exists(building) AND active = :active",
            values,
            names={"#last": "last"},
            done=lambda now: now == build,
        )
        if not started:
            raise RebuildRunningError(f"another rebuild of {projection} started at this moment: wait for it")
        return build

    def take_over(self, build: Build, builder: str) -> Build:
        """Go on with a build whose builder is dead. Raises RebuildRunningError when it is not, or somebody else did."""
        taken = replace(build, builder=builder, beat=build.beat + 1)
        values = {
            ":me": {"S": builder},
            ":beat": {"N": str(taken.beat)},
            ":dead": {"S": build.builder},
            ":seen": {"N": str(build.beat)},
        }
        condition = "builder = :dead AND beat = :seen"
        if not self._update(taken, "SET builder = :me, beat = :beat", condition, values, done=lambda now: now == taken):
            raise RebuildRunningError(f"another process went on with the rebuild of {build.projection} at this moment")
        return taken

    def save(self, build: Build) -> Build:
        """Record how far the build is, and that its builder lives. Raises BuildLostError."""
        saved = replace(build, beat=build.beat + 1)
        update = "SET beat = :beat, phase = :phase, cursors = :cursors"
        values = {key: value for key, value in _values(saved).items() if key != ":g"}
        if not self._update(saved, update, "builder = :me", values, done=lambda now: now == saved):
            raise _lost(build)
        return saved

    def flip(self, build: Build) -> None:
        """Show the new generation to readers and end the build, in one write; both generations stay fed.

        Raises BuildLostError.
        """
        update = "SET active = :g REMOVE building, builder, beat, phase, cursors"
        values = {":g": {"N": str(build.generation)}, ":me": {"S": build.builder}}

        def flipped(now: Build | None) -> bool:
            return now is None and self._row(build.projection)["active"]["N"] == str(build.generation)

        if not self._update(build, update, "building = :g AND builder = :me", values, done=flipped):
            raise _lost(build)

    def give_up(self, build: Build) -> None:
        """End the build without a flip: nobody feeds its generation any more. Safe to repeat."""
        update = "REMOVE building, builder, beat, phase, cursors DELETE fed :generations"
        values = {":g": {"N": str(build.generation)}, ":generations": {"NS": [str(build.generation)]}}
        self._update(build, update, "building = :g AND active <> :g", values, done=lambda _: True)

    def retire(self, projection: str, generation: int) -> bool:
        """Have nobody feed a generation that is neither active nor being built. Safe to repeat.

        Returns False when it is one of these, so that nothing was changed.
        """
        build = Build(projection, generation, "", 0, "joining", ())
        values = {":g": {"N": str(generation)}, ":generations": {"NS": [str(generation)]}}
        condition = "active <> :g AND (attribute_not_exists(building) OR building <> :g)"
        return self._update(build, "DELETE fed :generations", condition, values, done=lambda _: False)

    def last(self, projection: str) -> int:
        """The highest number that a generation of the projection ever had."""
        row = self._row(projection)
        numbers = [int(row["active"]["N"]), *map(int, row["fed"]["NS"])]
        return max([*numbers, int(row["last"]["N"])] if "last" in row else numbers)

    def _row(self, projection: str) -> Mapping[str, Any]:
        with aws_errors(f"reading the control row of {projection}"):
            answer = self._dynamodb.get_item(
                TableName=self._table, Key={"projection": {"S": projection}}, ConsistentRead=True
            )
        return answer.get("Item", {})

    def _update(
        self,
        build: Build,
        update: str,
        condition: str,
        values: Any,
        *,
        done: Callable[[Build | None], bool],
        names: dict[str, str] | None = None,
    ) -> bool:
        request: dict[str, Any] = {"ExpressionAttributeNames": names} if names else {}
        with aws_errors(f"writing the control row of {build.projection}"):
            try:
                self._dynamodb.update_item(
                    TableName=self._table,
                    Key={"projection": {"S": build.projection}},
                    UpdateExpression=update,
                    ConditionExpression=f"attribute_exists(active) AND ({condition})",
                    ExpressionAttributeValues=values,
                    **request,
                )
            except ClientError as error:
                if not is_condition_failed(error):
                    raise
                return done(self.read(build.projection))
        return True


def _lost(build: Build) -> BuildLostError:
    return BuildLostError(
        f"generation {build.generation} of {build.projection} is no longer built by this process: it was given up, or "
        f"taken over while this process stood still. Nothing was shown to readers."
    )


def _values(build: Build) -> dict[str, Any]:
    return {
        ":g": {"N": str(build.generation)},
        ":me": {"S": build.builder},
        ":beat": {"N": str(build.beat)},
        ":phase": {"S": build.phase},
        ":cursors": {"L": [{"M": cursor.to_item()} for cursor in build.cursors]},
    }


def _build(row: Mapping[str, Any]) -> Build | None:
    if "building" not in row:
        return None
    return Build(
        projection=row["projection"]["S"],
        generation=int(row["building"]["N"]),
        builder=row["builder"]["S"],
        beat=int(row["beat"]["N"]),
        phase=row["phase"]["S"],
        cursors=tuple(Cursor.from_item(cursor["M"]) for cursor in row["cursors"]["L"]),
    )
