"""The contract of a shard source, held by both."""

from faust_kinesis.kcl.source import KclSource
from faust_kinesis.polling.source import PollingSource
from tests.contracts.shard_source import Features, ShardSourceContract


class TestPolling(ShardSourceContract):
    source_type = PollingSource
    features = Features()


class TestKcl(ShardSourceContract):
    source_type = KclSource
    features = Features(
        leader_lock=True,
        needs_ended_parents=True,
        writes_leases_here=False,
        newest_process_reads=False,
    )
