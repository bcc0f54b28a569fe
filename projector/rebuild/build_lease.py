"""Who builds a generation, and how far: the part of a control row that a rebuild writes.

Every write holds only while the row is still this builder's, so a builder that was taken over, or whose build was given
up, can neither record progress nor flip.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ledger.store.errors import JobLostError, JobRunningError
from ledger.store.parallel_scan import Cursor
from ledger.store.resumable_job import JobStore, ResumableJob

#: joining: the workers may not feed the new generation yet. reading: the events table is read, and what its cursors
#: have passed is built and verified. Other phases are those of earlier versions, whose cursors vouch for less.
Phase = Literal["joining", "reading"]

_REMOVE = "REMOVE building, builder, beat, phase, cursors, run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build(ResumableJob):
    """The build of a projection's new generation; its ``name`` is the projection's."""

    generation: int
    phase: Phase


class BuildStore(JobStore[Build]):
    """The builds of the control rows. Raises ThrottledError, EndpointError or ResourceError."""

    _job = Build
    _owner = "builder"
    _running = (
        "generation {0.generation} of {0.name} is being built by another process: wait for it, or end it with "
        "`kinfold projector rebuild --abort --projection {0.name}`"
    )
    _lost = (
        "generation {0.generation} of {0.name} is no longer built by this process: it was given up, or taken over "
        "while this process stood still. Nothing was shown to readers."
    )

    def start(self, projection: str, generation: int, token: str, *, active: int, segments: int) -> Build:
        """Name a new generation, whose table exists, and have the workers feed it.

        Raises JobRunningError when another process was faster, or when ``active`` is no longer the active one.
        """
        build = Build(
            name=projection, token=token, generation=generation, phase="joining", cursors=(Cursor(),) * segments
        )
        started = self._write(
            build,
            "attribute_not_exists(building) AND active = :active",
            {":active": {"N": str(active)}, ":generations": {"NS": [str(generation)]}},
            more=", #last = :building ADD fed :generations",
            ExpressionAttributeNames={"#last": "last"},
        )
        if not started:
            raise JobRunningError(f"another rebuild of {projection} started at this moment: wait for it")
        return build

    def flip(self, build: Build) -> None:
        """Show the new generation to readers and end the build, in one write; both generations stay fed.

        Raises JobLostError.
        """
        generation = {"N": str(build.generation)}
        values = {":g": generation, ":me": {"S": build.token}}
        if not self._update(build.name, f"SET active = :g {_REMOVE}", "building = :g AND builder = :me", values):
            row = self._row(build.name)
            if "building" in row or row["active"] != generation:
                raise JobLostError(self._lost.format(build))

    def give_up(self, build: Build) -> None:
        """End the build without a flip, so that workers stop feeding its generation. Idempotent."""
        condition = "building = :g AND active <> :g"
        self._update(build.name, f"{_REMOVE} DELETE fed :generations", condition, _generation(build.generation))

    def retire(self, projection: str, generation: int) -> bool:
        """Have workers stop feeding a generation that is neither active nor being built. Idempotent.

        Returns False when it is one of these, so that nothing was changed.
        """
        condition = "attribute_exists(active) AND active <> :g AND (attribute_not_exists(building) OR building <> :g)"
        return self._update(projection, "DELETE fed :generations", condition, _generation(generation))

    def last(self, projection: str) -> int:
        """The highest number that a generation of the projection ever had."""
        row = self._row(projection)
        numbers = [int(row["active"]["N"]), *map(int, row["fed"]["NS"])]
        return max([*numbers, int(row["last"]["N"])] if "last" in row else numbers)

    def _key(self, name: str) -> dict[str, Any]:
        return {"projection": {"S": name}}

    def _details(self, job: Build) -> dict[str, Any]:
        return {"building": {"N": str(job.generation)}, "phase": {"S": job.phase}}

    def _fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"generation": int(row["building"]["N"]), "phase": row["phase"]["S"]}


def _generation(number: int) -> dict[str, Any]:
    return {":g": {"N": str(number)}, ":generations": {"NS": [str(number)]}}
