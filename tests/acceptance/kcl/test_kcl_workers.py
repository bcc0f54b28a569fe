"""Several projectors on KCL as real processes: they share the shards, and one leaves under load."""

import sys
from pathlib import Path

import pytest

from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from tests.support.kcl_fleet import Fleet
from tests.support.ledger_load import LedgerLoad
from tests.support.processes import children, group

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]


def stop(fleet: Fleet, worker_id: str) -> None:
    """SIGTERM; at its end nothing of Java is left, and each of its leases is with a worker that lives."""
    (guard,) = [pid for pid in children(fleet.workers[worker_id].pid) if "guard_process" in group(pid).get(pid, "")]
    stay = fleet.workers.keys() - {worker_id}
    assert fleet.workers[worker_id].stop() == 0
    owners = fleet.owners()
    assert group(guard) == {}
    assert owners.keys() <= stay
    assert sum(owners.values()) == 4
    del fleet.workers[worker_id]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_workers_share_the_shards_while_one_comes_and_the_leader_goes_under_load(
    clients: Clients, profile: str, tmp_path: Path
) -> None:
    load = LedgerLoad(clients, Names(profile))
    with Fleet(clients, profile, tmp_path, shards=4) as fleet:
        with load:
            fleet.start("w1")
            fleet.start("w2")
            if all_carry := fleet.wait_for_records() == 4:
                fleet.wait_to_read({"w1": 2, "w2": 2}, within=120)
                fleet.start("w3")
                fleet.wait_until(lambda: fleet.reads("w3") > 0, 120, "a shard read by w3")
                stop(fleet, "w3")
            fleet.wait_until(lambda: sum(map(fleet.reads, fleet.workers)) == 4, 120, "every shard read")
            leader = fleet.leader()
            (other,) = fleet.workers.keys() - {leader}
            stop(fleet, leader)
            fleet.wait_to_read({other: 4}, within=90)
        assert load.differences() == {}
    if not all_carry:
        pytest.skip("a third worker gets nothing: KCL spreads what the shards carry, and here one carries all")


def test_a_split_and_a_merge_under_load(clients: Clients, profile: str, keeps_parents: bool, tmp_path: Path) -> None:
    kinesis = clients.kinesis
    if not keeps_parents:
        pytest.skip("the endpoint drops a split shard at once, and with it the end that tells KCL of its children")

    def shards(fleet: Fleet) -> dict[str, tuple[int, int]]:
        """The open shards and their hash keys."""
        listed = kinesis.list_shards(StreamName=fleet.names.stream)["Shards"]
        return {
            shard["ShardId"]: (
                int(shard["HashKeyRange"]["StartingHashKey"]),
                int(shard["HashKeyRange"]["EndingHashKey"]),
            )
            for shard in listed
            if not shard["SequenceNumberRange"].get("EndingSequenceNumber")
        }

    def wait_for_shards(fleet: Fleet, count: int) -> None:
        fleet.wait_until(lambda: len(shards(fleet)) == count, 60, f"{count} open shards")
        fleet.wait_for({"w1": count}, within=120)

    with Fleet(clients, profile, tmp_path, shards=1) as fleet:
        fleet.start("w1")
        wait_for_shards(fleet, 1)
        load = LedgerLoad(clients, fleet.names, per_second=20)
        with load:
            ((parent, (first, last)),) = shards(fleet).items()
            kinesis.split_shard(
                StreamName=fleet.names.stream, ShardToSplit=parent, NewStartingHashKey=str((first + last) // 2)
            )
            wait_for_shards(fleet, 2)
            left, right = sorted(shards(fleet))
            kinesis.merge_shards(StreamName=fleet.names.stream, ShardToMerge=left, AdjacentShardToMerge=right)
            wait_for_shards(fleet, 1)
        assert load.differences() == {}
