"""Which rows of shards a relay makes, reads and forgets."""

from dataclasses import replace

from faust_kinesis.leases.checkpoint_tracker import SHARD_END
from faust_kinesis.leases.table import TRIM_HORIZON, Lease
from faust_kinesis.leases.topology import Shard
from stream_bridge.dynamodb_stream import StreamDescription
from stream_bridge.relay.checkpoints import missing_rows, row_key, rows_to_forget, rows_to_read
from stream_bridge.relay.leader_lease import RELAY

STREAM = StreamDescription("arn", "today", "ENABLED", {"p": Shard("p", is_open=False), "c": Shard("c", frozenset("p"))})
PARENT = Lease(row_key("today", "p"), "17")
CHILD = Lease(row_key("today", "c"), TRIM_HORIZON, parents=frozenset({PARENT.key}))
LEASE = Lease(RELAY, TRIM_HORIZON)


def by_key(*rows: Lease) -> dict[str, Lease]:
    return {row.key: row for row in rows}


def test_every_listed_shard_gets_a_row_from_its_oldest_record_on() -> None:
    assert missing_rows(STREAM, by_key(LEASE, PARENT)) == [CHILD]


def test_a_child_is_read_once_its_parent_is_relayed_to_its_end() -> None:
    assert rows_to_read(STREAM, by_key(PARENT, CHILD)) == [PARENT]
    ended = replace(PARENT, checkpoint=SHARD_END)
    assert rows_to_read(STREAM, by_key(ended, CHILD)) == [CHILD]
    assert rows_to_read(STREAM, by_key(CHILD)) == [CHILD], "a parent that has left the stream cannot be waited for"


def test_only_what_is_over_is_forgotten() -> None:
    gone = Lease(row_key("today", "old"), SHARD_END)
    unread = Lease(row_key("today", "late"), "3")
    other = Lease(row_key("yesterday", "c"), "5")
    assert rows_to_forget(STREAM, by_key(LEASE, PARENT, CHILD, gone, unread, other)) == [gone, other]
