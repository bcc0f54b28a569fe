"""The relay as a real process: killed, doubled, paused, stopped; judged by what is on the raw stream."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from kinfold.demo.raw_stream import order_violations, streamed_aggregates
from kinfold.local.service import Service
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.support.aws.tables import made_bridge
from tests.support.ledger_load import LedgerLoad
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: 20 by hand, fewer in every run.
KILLS = int(os.environ.get("KILLS", "8"))
FAILOVER = 2.0
StartRelay = Callable[..., Service]


@pytest.fixture
def relay_env(child_env: dict[str, str]) -> dict[str, str]:
    return child_env | {"KINFOLD_BRIDGE": "relay", "KINFOLD_FAILOVER_TIME": str(FAILOVER)}


@pytest.fixture
def bridge(clients: Clients, names: Names) -> None:
    """Tables and a stream of four shards, and no destination."""
    assert made_bridge(clients, names, 4, "relay").healthy


@pytest.fixture
def start_relay(bridge: None, relay_env: dict[str, str], start_service: Callable[..., Service]) -> StartRelay:
    """Start a relay process, ready or not."""

    def start(worker_id: str = "relay-1", *, ready: bool = True) -> Service:
        return start_service("bridge", "relay", ready=ready, **relay_env | {"KINFOLD_WORKER_ID": worker_id})

    return start


@pytest.fixture
def store(clients: Clients, names: Names) -> EventStore:
    return EventStore(clients.dynamodb, names.events)


def standing(relay: Service) -> dict[str, Any]:
    """What it says of itself, also while it is not ready."""
    return dict(httpx.get(f"{relay.url}/ready", timeout=10, trust_env=False).json())


def wrong(clients: Clients, names: Names, load: LedgerLoad, *, within: float = 60) -> list[str]:
    """What is wrong with the raw stream once it is right, or ``within`` seconds have brought no record more.

    An emulator may need minutes for what the load made in one.
    """
    store = EventStore(clients.dynamodb, names.events)
    records, deadline = 0, time.monotonic() + within
    while True:
        seen = streamed_aggregates(clients.kinesis, names.stream, names.events)
        found = order_violations(seen, {each: store.version(each).number for each in load.account_ids})
        if not found or time.monotonic() > deadline:
            return found
        if (now := sum(len(account.numbers) for account in seen.values())) > records:
            records, deadline = now, time.monotonic() + within
        time.sleep(0.3)


def test_killed_at_random_under_load_every_event_is_on_the_stream_in_order(
    start_relay: StartRelay, start_projector: Callable[..., Service], clients: Clients, names: Names
) -> None:
    choose = random.Random()
    start_projector()
    with LedgerLoad(clients, names) as load:
        for kill in range(KILLS):
            # Every third kill hits a relay that is still starting: at its lease, at its first reads.
            relay = start_relay(ready=kill % 3 != 0)
            time.sleep(choose.uniform(0, 1.5))
            relay.kill()
    start_relay()
    assert wrong(clients, names, load) == []
    assert load.differences() == {}


def test_of_two_relays_one_puts_and_no_account_is_reordered_however_they_change(
    start_relay: StartRelay, clients: Clients, names: Names
) -> None:
    choose = random.Random()
    relays = {name: start_relay(name) for name in ("relay-a", "relay-b")}
    holders: set[str] = set()
    with LedgerLoad(clients, names) as load:
        for change in range(4):
            active = until(partial(holder, relays))
            holders.add(active)
            time.sleep(choose.uniform(0.2, 1.0))
            if change % 2:
                relays[active].stop()
            else:
                relays[active].kill()
            other = until(partial(holder, without(relays, active)))
            holders.add(other)
            relays[active] = start_relay(active)
    assert holders == {"relay-a", "relay-b"}
    assert wrong(clients, names, load) == []


def test_a_relay_that_stood_still_puts_nothing_after_another_took_over(
    start_relay: StartRelay, clients: Clients, names: Names
) -> None:
    first, second = start_relay("relay-a"), start_relay("relay-b")
    relays = {"relay-a": first, "relay-b": second}
    with LedgerLoad(clients, names) as load:
        for _ in range(2):
            active = until(partial(holder, relays))
            os.kill(relays[active].pid, signal.SIGSTOP)
            until(partial(holder, without(relays, active)))
            time.sleep(0.5)
            os.kill(relays[active].pid, signal.SIGCONT)
            until(partial(standing, relays[active]), lambda seen: seen["role"] == "standby")
    assert wrong(clients, names, load) == []


def test_the_demo_ends_well_with_the_relay_and_proves_its_order(aws_endpoint: str) -> None:
    figures = ["--shards", "4", "--aggregates", "10", "--events", "150", "--bridge", "relay", "--json"]
    answer = subprocess.run(
        [sys.executable, "-m", "kinfold", "demo", "--endpoint-url", aws_endpoint, *figures],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    outcome = json.loads(answer.stdout)
    assert (outcome["appended"], outcome["mismatched"], outcome["reordered"]) == (150, 0, 0)


def without(relays: dict[str, Service], name: str) -> dict[str, Service]:
    return {other: relay for other, relay in relays.items() if other != name}


def holder(relays: dict[str, Service]) -> str | None:
    """The relay that says it is active; None while none does."""
    return next((name for name, relay in relays.items() if standing(relay).get("role") == "active"), None)
