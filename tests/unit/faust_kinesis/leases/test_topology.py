from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from faust_kinesis.leases.checkpoint_tracker import SHARD_END
from faust_kinesis.leases.table import AT_TIMESTAMP, LATEST, TRIM_HORIZON, Lease
from faust_kinesis.leases.topology import Shard, Topology, list_shards, missing_leases
from faust_kinesis.options import StartingPosition

LISTED_AT = datetime(2026, 1, 2, tzinfo=UTC)
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def topology(*shards: Shard) -> Topology:
    return Topology({shard.shard_id: shard for shard in shards}, LISTED_AT)


def closed(shard_id: str, *parents: str) -> Shard:
    return Shard(shard_id, frozenset(parents), is_open=False)


def open_(shard_id: str, *parents: str) -> Shard:
    return Shard(shard_id, frozenset(parents))


def planned(
    topo: Topology, leases: Mapping[str, Lease], start: StartingPosition
) -> dict[str, tuple[str, datetime | None]]:
    return {lease.key: (lease.checkpoint, lease.start_at) for lease in missing_leases(topo, leases, start)}


SPLIT = topology(closed("0"), open_("1", "0"), open_("2", "0"))


def test_first_start() -> None:
    assert planned(SPLIT, {}, "trim-horizon") == dict.fromkeys("012", (TRIM_HORIZON, None))
    assert planned(SPLIT, {}, "latest") == dict.fromkeys("12", (LATEST, LISTED_AT))
    assert planned(SPLIT, {}, MOMENT) == dict.fromkeys("012", (AT_TIMESTAMP, MOMENT))


def test_history_before_a_start_at_latest_stays_out() -> None:
    leases = {key: Lease(key, LATEST, start_at=LISTED_AT) for key in "12"}
    assert planned(SPLIT, leases, "latest") == {}


def test_children_of_a_leased_shard_start_at_their_beginning_even_from_latest() -> None:
    leases = {"0": Lease("0", SHARD_END, start_at=LISTED_AT)}
    assert planned(SPLIT, leases, "latest") == dict.fromkeys("12", (TRIM_HORIZON, None))


def test_grandchildren_count_as_descendants_when_nobody_saw_their_parent() -> None:
    topo = topology(closed("0"), closed("1", "0"), open_("2", "0"), open_("3", "1"), open_("4", "1"))
    leases = {"0": Lease("0", "77")}
    assert planned(topo, leases, "latest") == dict.fromkeys("1234", (TRIM_HORIZON, None))


def test_a_shard_of_unknown_descent_is_read_from_the_first_start_on() -> None:
    topo = topology(open_("5", "gone"), open_("6"))
    began = {"6": Lease("6", LATEST, start_at=MOMENT)}
    assert planned(topo, began, "latest") == {"5": (AT_TIMESTAMP, MOMENT)}
    assert planned(topo, {"6": Lease("6", "77")}, "latest") == {"5": (TRIM_HORIZON, None)}


def test_listing_reads_all_pages() -> None:
    class Kinesis:
        def list_shards(self, **options: str) -> dict[str, Any]:
            second = "NextToken" in options
            assert ("StreamName" in options) != second, "the API refuses both together"
            shard = {
                "ShardId": "1" if second else "0",
                "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "9"},
                "SequenceNumberRange": {"StartingSequenceNumber": "1"},
            }
            if second:
                shard |= {"ParentShardId": "0", "AdjacentParentShardId": "x"}
            else:
                shard["SequenceNumberRange"] = {"StartingSequenceNumber": "1", "EndingSequenceNumber": "2"}
            headers = {"date": "Fri, 02 Jan 2026 00:00:01 GMT"}
            answer = {"Shards": [shard], "ResponseMetadata": {"HTTPHeaders": headers}}
            return answer if second else answer | {"NextToken": "t"}

    topo = list_shards(cast("Any", Kinesis()), "s")
    assert topo.listed_at == LISTED_AT
    assert (topo.shards["0"].is_open, topo.shards["1"].is_open) == (False, True)
    assert topo.children("0") == {"1"}
    assert topo.children("x") == {"1"}
