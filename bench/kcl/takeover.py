"""How long KCL takes to hand shards over: `python -m bench kcl-takeover SCENARIO` from the project's root.

Scenarios: `sigterm`, `third` (a third worker joins and leaves), `kill-follower`, `kill-leader`, `restart`. Each runs
projectors on 4 shards of the embedded AWS, or of `--endpoint-url`, under a steady load, and prints a line of JSON with
the seconds of each step. In the end every account is refolded: `differences` must be 0.
"""

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from kinfold.demo.disposable import delete_profile, disposable_profile
from kinfold.local.embedded_aws import local_aws
from kinfold.local.environment import service_clients
from tests.support.kcl_fleet import Fleet
from tests.support.ledger_load import LedgerLoad


def sigterm(fleet: Fleet, steps: dict[str, float]) -> None:
    for role in ("follower", "leader"):
        who = next(worker for worker in fleet.workers if (fleet.leader() == worker) == (role == "leader"))
        other = next(worker for worker in fleet.workers if worker != who)
        began = time.monotonic()
        assert fleet.workers[who].stop() == 0
        steps[f"{role} stopped"] = time.monotonic() - began
        fleet.wait_to_read({other: 4}, 180)
        steps[f"other reads all after SIGTERM of the {role}"] = time.monotonic() - began
        fleet.start(who)
        steps[f"{role} back, two each again"] = fleet.wait_to_read({who: 2, other: 2}, 180)


def third(fleet: Fleet, steps: dict[str, float]) -> None:
    fleet.start("w3")
    steps["third has a shard"] = fleet.wait_until(lambda: fleet.owners()["w3"] > 0, 180, "a shard of w3")
    began = time.monotonic()
    assert fleet.workers["w3"].stop() == 0
    fleet.wait_until(lambda: sum(fleet.owners().values()) == 4 and not fleet.owners()["w3"], 180, "four without w3")
    steps["taken back after it left"] = time.monotonic() - began


def kill(fleet: Fleet, steps: dict[str, float], *, leader: bool) -> None:
    victim = next(worker for worker in fleet.workers if (fleet.leader() == worker) == leader)
    other = next(worker for worker in fleet.workers if worker != victim)
    fleet.workers[victim].kill()
    steps["other reads all"] = fleet.wait_to_read({other: 4}, 300)


def restart(fleet: Fleet, steps: dict[str, float]) -> None:
    assert fleet.workers["w2"].stop() == 0
    fleet.wait_for({"w1": 4}, 60)
    for how in ("stop", "kill"):
        if how == "stop":
            assert fleet.workers["w1"].stop() == 0
        else:
            fleet.workers["w1"].kill()
        service = fleet.start("w1")
        began = time.monotonic()
        service.wait_until_ready(180, print)
        steps[f"ready after {how} and start"] = time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=["sigterm", "third", "kill-follower", "kill-leader", "restart"])
    parser.add_argument("--endpoint-url")
    given = parser.parse_args()
    steps: dict[str, float] = {}
    with ExitStack() as cleanup:
        endpoint = given.endpoint_url or cleanup.enter_context(local_aws())
        profile = disposable_profile("test-")
        clients = service_clients(endpoint, profile)
        cleanup.callback(delete_profile, clients, profile)
        logs = Path(tempfile.mkdtemp(prefix="kcl-takeover-"))
        fleet = cleanup.enter_context(Fleet(clients, profile, logs, shards=4))
        began = time.monotonic()
        fleet.start("w1")
        fleet.wait_for({"w1": 4}, 120)
        fleet.workers["w1"].wait_until_ready(60, print)
        steps["first worker ready on empty tables"] = time.monotonic() - began
        load = LedgerLoad(clients, fleet.names)
        with load:
            fleet.start("w2")
            steps["second worker reads half"] = fleet.wait_to_read({"w1": 2, "w2": 2}, 180)
            match given.scenario:
                case "sigterm":
                    sigterm(fleet, steps)
                case "third":
                    third(fleet, steps)
                case "restart":
                    restart(fleet, steps)
                case how:
                    kill(fleet, steps, leader=how == "kill-leader")
        differences = load.differences()
    figures = {step: round(seconds, 1) for step, seconds in steps.items()}
    print(json.dumps({"scenario": given.scenario, **figures, "differences": len(differences)}))


if __name__ == "__main__":
    main()
