"""The real projector with AWS answered from memory: pages prepared once, a worker process a run."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench.alone.fake_aws import write_pages
from bench.contest.bench_profile import BenchProfile, bench_profile, emulator
from bench.contest.contenders import KINFOLD, Task
from bench.contest.workloads import WORKLOADS
from ledger.store.change_record import encode
from projector.settings import ProjectorSettings

#: A core is to keep up with so many shards, each at its 2 MB/s; and the pace of reading allows for more than it needs.
SHARDS: Final = 20
#: Records in an answer of GetRecords: as many as the projector asks for.
PAGE: Final[int] = ProjectorSettings.model_fields["batch_size"].default


@dataclass(frozen=True, slots=True)
class Prepared:
    """Pages in a directory, and the profile of the stream, whose description and leases are real."""

    profile: BenchProfile
    home: Path
    events: int
    records: int

    def run(self, *arguments: str) -> dict[str, Any]:
        """One run of the worker; ``arguments`` go on its command line. Raises ContenderFailedError."""

        def command(task: Task, report: Path) -> list[str]:
            return [*KINFOLD.command(task, report), "--from-memory", str(self.home), *arguments]

        return replace(KINFOLD, command=command).run(Task(self.profile, self.events, self.records))


@contextmanager
def prepared(workload: str, events: int, *, shards: int = SHARDS, seed: int = 6) -> Iterator[Prepared]:
    """Pages of a workload's records, for the block."""
    with (
        emulator() as aws,
        bench_profile(aws.url) as profile,
        tempfile.TemporaryDirectory(prefix="bench-pages-") as home,
    ):
        profile.create_stream(shards)
        shards_made = profile.clients.kinesis.list_shards(StreamName=profile.names.stream)["Shards"]
        ids = [shard["ShardId"] for shard in shards_made]
        deliveries = WORKLOADS[workload].deliveries(events, seed)
        records = ((each.key, encode(each.event, profile.names.events, "us-east-1")) for each in deliveries)
        count = write_pages(Path(home), ids, records, PAGE)
        yield Prepared(profile, Path(home), events, count)
