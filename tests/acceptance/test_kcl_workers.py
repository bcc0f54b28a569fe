"""Several projectors on KCL as real processes: they share the shards, and one leaves under load."""

import sys
from pathlib import Path

import pytest

from ledger.aws import Clients
from tests.kcl_fleet import Fleet
from tests.ledger_load import LedgerLoad
from tests.processes import children, group

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]


def carrying(clients: Clients, stream: str) -> int:
    """How many shards of the stream have records."""
    found = 0
    for shard in clients.kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = clients.kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found += bool(clients.kinesis.get_records(ShardIterator=iterator, Limit=10)["Records"])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_workers_share_the_shards_and_one_leaves_under_load(clients: Clients, profile: str, tmp_path: Path) -> None:
    with Fleet(clients, profile, tmp_path, shards=4) as fleet:
        fleet.start("w1")
        fleet.wait_for({"w1": 4}, within=60)
        load = LedgerLoad(clients, fleet.names)
        with load:
            fleet.start("w2")
            fleet.wait_until(lambda: fleet.owners()["w2"] > 0, 90, "a shard for w2")
            if carrying(clients, fleet.names.stream) == 4:  # KCL spreads what the shards carry, not their number
                fleet.wait_for({"w1": 2, "w2": 2}, within=90)
            (guard,) = [pid for pid in children(fleet.workers["w2"].pid) if "kcl_guard" in group(pid).get(pid, "")]
            assert fleet.workers["w2"].stop() == 0
            assert group(guard) == {}
            fleet.wait_for({"w1": 4}, within=60)
        assert load.differences(within=90) == {}


def test_a_split_and_a_merge_under_load(clients: Clients, profile: str, tmp_path: Path) -> None:
    kinesis = clients.kinesis

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
            if parent not in {
                shard["ShardId"] for shard in kinesis.list_shards(StreamName=fleet.names.stream)["Shards"]
            }:
                pytest.skip(
                    "the endpoint drops a split shard at once, and with it the end that tells KCL of its children"
                )
            wait_for_shards(fleet, 2)
            left, right = sorted(shards(fleet))
            kinesis.merge_shards(StreamName=fleet.names.stream, ShardToMerge=left, AdjacentShardToMerge=right)
            wait_for_shards(fleet, 1)
        assert load.differences(within=120) == {}
