"""Memory while a backlog is drained by KCL: `python -m bench kcl-drain` from the project's root.

Puts `--records` records of `--bytes` bytes on 4 shards of the embedded AWS, then starts a source on KCL in this process
and completes every batch after `--work` milliseconds. Prints one line of JSON: the rate, and the peak resident memory
of this process, of Java, and of the pipes.
"""

import argparse
import asyncio
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

from faust_kinesis.kcl.source import KclSource
from faust_kinesis.options import KinesisOptions
from kinfold.demo.disposable import delete_profile, disposable_profile
from kinfold.local.embedded_aws import local_aws
from kinfold.local.environment import service_clients, service_environment
from projector.settings import ProjectorSettings
from tests.support.processes import group


def resident_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), default=0.0)


def put(kinesis: Any, stream: str, records: int, size: int) -> None:
    for start in range(0, records, 500):
        batch = [
            {"Data": os.urandom(size // 2).hex().encode(), "PartitionKey": str(n)} for n in range(start, start + 500)
        ]
        assert kinesis.put_records(StreamName=stream, Records=batch)["FailedRecordCount"] == 0


async def drain(given: argparse.Namespace, endpoint: str, profile: str) -> dict[str, object]:
    os.environ.update(service_environment(endpoint, profile))
    clients = service_clients(endpoint, profile)
    stream = f"domain-events-{profile}"
    clients.kinesis.create_stream(StreamName=stream, ShardCount=4)
    await asyncio.sleep(1)
    await asyncio.to_thread(put, clients.kinesis, stream, given.records, given.bytes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    options = KinesisOptions(
        application=f"projector-{profile}",
        worker_id="w1",
        batch_size=given.batch,
        poll_interval=0.2,
        java_heap_mb=given.heap,
    )
    source = KclSource(stream, options, kinesis=clients.kinesis, dynamodb=clients.dynamodb)
    began = time.monotonic()
    await source.start()
    done, first, java, pipes = 0, 0.0, 0.0, 0.0
    while done < given.records:
        batch = await source.next_batch(5.0)
        if batch is None:
            continue
        first = first or time.monotonic() - began
        await asyncio.sleep(given.work / 1000)
        done += len(batch.records)
        batch.complete()
        if source._daemon and source._daemon.pid:
            members = group(source._daemon.pid)
            java = max([java, *(resident_mb(pid) for pid, name in members.items() if name.startswith("java "))])
            pipes = max([pipes, *(resident_mb(pid) for pid, name in members.items() if "pipe_process" in name)])
    seconds = time.monotonic() - began - first
    await source.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    delete_profile(clients, profile)
    figures = {
        "first_batch_s": first,
        "drained_s": seconds,
        "records_per_s": given.records / seconds,
        "worker_before_mb": before,
        "worker_peak_mb": peak,
        "java_peak_mb": java,
        "largest_pipe_mb": pipes,
    }
    sizes = {"records": given.records, "bytes": given.bytes, "batch": given.batch, "heap_mb": given.heap}
    return sizes | {name: round(value, 1) for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--bytes", type=int, default=600, help="of each record; a change record has about 600")
    size = ProjectorSettings.model_fields["batch_size"].default
    parser.add_argument("--batch", type=int, default=size, help="records at most; by default the projector's own")
    parser.add_argument("--work", type=float, default=20.0, help="milliseconds for a batch")
    parser.add_argument("--heap", type=int, default=256)
    given = parser.parse_args()
    with local_aws() as endpoint:
        print(json.dumps(asyncio.run(drain(given, endpoint, disposable_profile("test-")))))


if __name__ == "__main__":
    main()
