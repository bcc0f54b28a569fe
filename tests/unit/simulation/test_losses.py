"""Runs in which the events table is lost: what is planned, and what the histories are after it."""

import subprocess
import sys
from dataclasses import replace

import pytest

from simulation.invariants.history import Histories
from simulation.plan import AWAY, STORMY, Loss, Plan
from simulation.shrink import shrink

PLANS = [Plan.drawn(seed) for seed in range(400)]
LOST = [(seed, plan) for seed, plan in enumerate(PLANS) if plan.loss is not None]


def event(account: str, number: int, correlation_id: str) -> dict[str, dict[str, str]]:
    texts = {
        "aggregateType": "account",
        "eventType": "FundsDeposited",
        "payload": '{"schemaVersion":1,"amount":"1.00","currency":"EUR"}',
        "occurredAt": "2026-01-01T00:00:00.000000+00:00",
        "correlationId": correlation_id,
    }
    keys = {"aggregateId": {"S": account}, "sequenceNumber": {"N": str(number)}}
    return keys | {name: {"S": text} for name, text in texts.items()}


def test_every_fourth_run_or_so_knows_a_loss_and_the_others_are_as_they_were() -> None:
    assert 0.15 < len(LOST) / len(PLANS) < 0.35
    assert all(plan.storm == STORMY for plan in PLANS if plan.loss is None)


def test_nothing_befalls_a_run_while_its_table_is_gone_and_the_storm_lasts_until_it_is_restored() -> None:
    for _, plan in LOST:
        assert plan.loss is not None
        moments = [plan.moment(each.at) for each in plan.disturbances]
        assert moments == sorted(moments)
        assert not any(plan.loss.at < moment < plan.loss.at + AWAY for moment in moments)
        assert plan.storm > plan.loss.at + AWAY + plan.loss.waits


def test_what_was_stored_after_the_moment_is_lost_and_another_event_may_take_its_number() -> None:
    now, wrong = 1.0, list[tuple[str, str]]()
    histories = Histories(lambda: now, lambda *violation: wrong.append(violation))

    def store(account: str, number: int, correlation_id: str) -> None:
        item = event(account, number, correlation_id)
        histories.changed(None, (account, number), None, item)  # type: ignore[arg-type]

    store("a", 1, "kept")
    now = 2.0
    for account, number in (("a", 2), ("a", 3), ("b", 1)):
        store(account, number, "lost")
    histories.go_back(1.5)
    assert (histories.kept, histories.losses) == ({"a": 1, "b": 0}, 1)
    assert histories.stored == {"kept": [("a", 1)]}
    assert histories.holds(event("a", 1, "kept"))
    assert not histories.holds(event("a", 2, "lost"))
    store("a", 2, "new")
    assert histories.holds(event("a", 2, "new"))
    assert not histories.holds(event("a", 2, "lost"))
    assert wrong == []
    store("b", 2, "hole")
    assert [name for name, _ in wrong] == ["no hole, no overwrite"]


def test_a_loss_that_a_failure_does_not_need_is_left_out() -> None:
    plan = replace(LOST[0][1], loss=Loss(10.0, 3.0, 5.0))
    assert shrink(plan, lambda _: True, attempts=500).loss is None


@pytest.mark.parametrize("bridge", ["native", "relay"])
def test_a_run_loses_its_table_and_ends_with_it_restored(bridge: str) -> None:
    seed = next(seed for seed, plan in LOST if plan.bridge == bridge)
    command = [sys.executable, "-m", "simulation", "--seed", str(seed), "--trace"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:]
    lines = ended.stdout.splitlines()
    lost, back, recorded = (
        next(place for place, line in enumerate(lines) if text in line)
        for text in (
            "the events table is lost",
            "the events table is back",
            "PutItem projections-sim #events-table table-",
        )
    )
    assert lost < back
    restored = [
        line for line in lines[back:] if "PutItem projections-sim #events-table" in line and line.endswith("ok")
    ]
    assert "restore-" in restored[-1]
    assert recorded < lost, "services record the table when they start"
