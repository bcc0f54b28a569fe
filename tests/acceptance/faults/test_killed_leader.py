"""KCL's leader is killed. An upgrade of KCL that fails here does not go out.

KCL itself waits two minutes for the lock of a dead leader, and newer versions are reported to wait for ever
(awslabs/amazon-kinesis-client, issue 1803).
"""

from pathlib import Path

import pytest

from ledger.runtime.aws import Clients
from tests.support.kcl_fleet import Fleet
from tests.support.ledger_load import LedgerLoad

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: Seconds in which the survivor reads every shard: sooner than KCL alone, on a loaded machine too.
WITHIN = 90


def test_the_survivor_reads_every_shard_of_a_killed_leader(clients: Clients, profile: str, tmp_path: Path) -> None:
    with Fleet(clients, profile, tmp_path, shards=4) as fleet:
        with LedgerLoad(clients, fleet.names) as load:
            fleet.start("w1")
            fleet.wait_until(lambda: fleet.reads("w1") == 4, 120, "every shard read by w1")
            fleet.start("w2")
            fleet.wait_until(lambda: fleet.reads("w2") > 0, 120, "a shard read by w2")
            leader = fleet.leader()
            (survivor,) = fleet.workers.keys() - {leader}
            fleet.workers[leader].kill()
            fleet.wait_to_read({survivor: 4}, within=WITHIN)
            fleet.wait_until(lambda: fleet.leader() == survivor, WITHIN, f"{survivor} leading")
        assert load.differences() == {}
