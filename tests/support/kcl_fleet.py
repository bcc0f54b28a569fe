"""Projectors on KCL, several at once: for the acceptance tests and for `bench/kcl/takeover.py`."""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from faust_kinesis.kcl.coordination.tables import CoordinationTables
from faust_kinesis.leases.table import LeaseTable
from kinfold.local.environment import service_environment
from kinfold.local.service import Service
from ledger.runtime.aws import Clients
from ledger.runtime.sockets import free_port
from ledger.store.tables import Names
from tests.support.aws.tables import made_bridge
from tests.support.waiting import until


class Fleet:
    """Projectors by worker id on one endpoint and profile. All are stopped in the end.

    KCL spreads shards by what they carry, so let something flow before a second worker is to get its share.
    """

    def __init__(
        self, clients: Clients, profile: str, logs: Path, *, shards: int, env: Mapping[str, str] | None = None
    ) -> None:
        self.names = Names(profile)
        self.workers: dict[str, Service] = {}
        self._clients = clients
        self._env = service_environment(clients.endpoint, profile, {"KINFOLD_CONSUMER": "kcl", **(env or {})})
        self._logs = logs
        self._shards = shards
        self._leases = LeaseTable(clients.dynamodb, self.names.leases)
        self._coordination = CoordinationTables(clients.dynamodb, self.names.leases)
        self._started: list[Service] = []

    def __enter__(self) -> Self:
        made_bridge(self._clients, self.names, self._shards)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for service in reversed(self._started):
            service.stop()

    def start(self, worker_id: str) -> Service:
        """Start a projector, and do not wait for it."""
        port = free_port()
        service = Service(
            f"projector {worker_id}",
            ["projector", "run", "--port", str(port)],
            url=f"http://127.0.0.1:{port}",
            env={**self._env, "KINFOLD_WORKER_ID": worker_id},
            log=self._logs / f"projector-{worker_id}-{len(self._started)}.log",
        )
        self._started.append(service)
        self.workers[worker_id] = service
        return service

    def owners(self) -> Counter[str]:
        """How many shards each worker has."""
        return Counter(lease.owner for lease in self._leases.scan().values() if lease.owner and not lease.ended)

    def reads(self, worker_id: str) -> int:
        """How many shards a worker reads: KCL has given it their records, or the news that there are none yet."""
        try:
            text = httpx.get(f"{self.workers[worker_id].url}/metrics", trust_env=False, timeout=10).text
        except httpx.TransportError:
            return 0  # it has just been started, or has ended
        found = re.search(r"^kinfold_projector_leases_held (\d+)", text, re.MULTILINE)
        return int(found[1]) if found else 0

    def wait_to_read(self, shards: Mapping[str, int], within: float) -> float:
        """Wait until the leases are spread so, and each worker reads what it has; how many seconds it took.

        The lease table alone tells whose turn it is, not that anybody reads.
        """

        def true() -> bool:
            return self.owners() == Counter(shards) and all(self.reads(who) == n for who, n in shards.items())

        return self.wait_until(true, within, f"{shards} read")

    def wait_for_records(self) -> int:
        """Wait until the stream has a few records; how many of its shards do."""
        kinesis, stream = self._clients.kinesis, self.names.stream

        def counts() -> list[int]:
            iterators = [
                kinesis.get_shard_iterator(
                    StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
                )["ShardIterator"]
                for shard in kinesis.list_shards(StreamName=stream)["Shards"]
            ]
            return [len(kinesis.get_records(ShardIterator=it, Limit=100)["Records"]) for it in iterators]

        self.wait_until(lambda: sum(counts()) >= 100, 60, "a hundred records")
        return sum(map(bool, counts()))

    def leader(self) -> str:
        """The worker whose KCL assigns the leases, once there is one."""
        return until(self._coordination.leader_lock).owner

    def wait_for(self, owners: Mapping[str, int], within: float) -> float:
        """Wait until the leases are spread so; how many seconds it took."""
        return self.wait_until(lambda: self.owners() == Counter(owners), within, f"{owners}")

    def wait_until(self, true: Callable[[], bool], within: float, what: str) -> float:
        """Wait for anything; how many seconds it took."""
        started = time.monotonic()
        until(true, within=within, why=lambda: f"not {what}, but {dict(self.owners())}")
        return time.monotonic() - started
