"""Several projectors on KCL as real processes: they share the shards, and one leaves under load."""

import sys
from pathlib import Path

import pytest

from ledger.aws import Clients
from tests.kcl_fleet import Fleet
from tests.ledger_load import LedgerLoad
from tests.processes import children, group

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_workers_share_the_shards_and_one_leaves_under_load(clients: Clients, profile: str, tmp_path: Path) -> None:
    with Fleet(clients, profile, tmp_path, shards=4) as fleet:
        fleet.start("w1")
        fleet.wait_for({"w1": 4}, within=60)
        load = LedgerLoad(clients, fleet.names)
        with load:
            fleet.start("w2")
            fleet.wait_for({"w1": 2, "w2": 2}, within=90)
            (guard,) = [pid for pid in children(fleet.workers["w2"].pid) if "kcl_guard" in group(pid).get(pid, "")]
            assert fleet.workers["w2"].stop() == 0
            assert group(guard) == {}
            fleet.wait_for({"w1": 4}, within=60)
        assert load.differences(within=90) == {}
