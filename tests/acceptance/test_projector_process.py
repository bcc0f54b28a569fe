"""The projector as a real process, with real signals."""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from faust_kinesis.leases.table import LeaseTable
from kinfold.local.service import Service
from kinfold.scrape import counter
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.support.accounts import READABLE, deposit, stored_event
from tests.support.aws.fault_proxy import FaultProxy
from tests.support.ledger_load import LedgerLoad
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: 20 by hand, fewer in every run.
KILLS = int(os.environ.get("KILLS", "8"))
#: Seconds for which each service is out; half a minute by hand, a few seconds in every run.
OUTAGE = float(os.environ.get("OUTAGE_SECONDS", "2"))


def get(service: Service, path: str) -> Any:
    with urllib.request.urlopen(f"{service.url}{path}", timeout=70) as answer:
        return json.load(answer)


def test_killed_at_random_under_load_it_ends_with_no_difference(
    start_projector: Callable[..., Service], clients: Clients, names: Names
) -> None:
    choose = random.Random()
    with LedgerLoad(clients, names) as load:
        for kill in range(KILLS):
            # Every third kill hits a worker that is still starting: at its leases, at its first reads.
            projector = start_projector(ready=kill % 3 != 0)
            time.sleep(choose.uniform(0, 1.5))
            projector.kill()
    start_projector()
    assert load.differences() == {}


def test_status_knows_a_killed_projector_from_a_living_one(
    start_projector: Callable[..., Service], kinfold: Callable[..., tuple[int, str, str]]
) -> None:
    projector = start_projector()
    code, out, _ = kinfold("projector", "status")
    assert (code, out.splitlines()[-1]) == (0, "healthy"), out
    projector.kill()
    code, out, _ = kinfold("projector", "status")
    assert (code, out.splitlines()[-1]) == (5, "not healthy: 4 warnings"), out
    assert out.count("is read by nobody; worker-1 has not renewed its lease") == 4


def test_of_two_workers_one_stands_by_and_takes_every_shard_of_a_killed_one(
    start_projector: Callable[..., Service], clients: Clients, names: Names
) -> None:
    def owners() -> Counter[str | None]:
        return Counter(lease.owner for lease in LeaseTable(clients.dynamodb, names.leases).scan().values())

    workers = {worker_id: start_projector(worker_id) for worker_id in ("worker-1", "worker-2")}
    with LedgerLoad(clients, names) as load:
        # Polling does not balance: who takes a shard first keeps it.
        ((victim, _), *_) = until(owners, lambda found: found.total() == 4 and None not in found).most_common()
        assert victim is not None
        workers.pop(victim).kill()
        (survivor,) = workers
        until(owners, lambda found: found == {survivor: 4})
    assert load.differences() == {}


def test_sigterm_finishes_checkpoints_and_gives_the_leases_back(
    start_projector: Callable[..., Service], clients: Clients, names: Names
) -> None:
    store = EventStore(clients.dynamodb, names.events)
    first = start_projector("worker-1")
    deposit(store, "alice", 20, at_once=1)
    assert get(first, "/balances/alice?min_version=20")["balance"] == "20.00"
    # Gap repair may know an event before the shard that has it was read.
    until(lambda: counter(first.url, "kinfold_projector_records"), lambda records: records == 20)
    assert first.stop() == 0
    owners = [row.get("leaseOwner") for row in clients.dynamodb.scan(TableName=names.leases)["Items"]]
    assert owners == [None] * 4

    second = start_projector("worker-2")
    deposit(store, "alice")
    assert get(second, "/balances/alice?min_version=21")["balance"] == "21.00"
    assert counter(second.url, "kinfold_projector_records") == 1, "everything before was checkpointed"


def test_an_event_that_can_never_be_applied_halts_its_account_and_nothing_else(
    start_projector: Callable[..., Service], clients: Clients, names: Names, child_env: dict[str, str]
) -> None:
    projector = start_projector()
    store = EventStore(clients.dynamodb, names.events)
    deposit(store, "mallory")
    poison = stored_event("mallory", 2, '{"amount":"secret","currency":"EUR"}')
    clients.dynamodb.put_item(TableName=names.events, Item=poison.to_item())
    deposit(store, "mallory")
    deposit(store, "alice", 3)
    assert get(projector, "/balances/alice?min_version=3")["balance"] == "3.00"
    summary = until(lambda: get(projector, "/balances/mallory?min_version=1"), lambda shown: "halted" in shown)
    assert (summary["version"], summary["balance"], summary["halted"]["sequenceNumber"]) == (1, "1.00", 2)
    assert summary["halted"]["reason"].startswith("payload of FundsDeposited: amount:")
    assert projector.exit_code is None
    assert "secret" not in projector.log.read_text()

    letter_id = summary["halted"]["id"]
    assert command(child_env, "dead-letters", "redrive", letter_id) == 1, "the cause is still there"
    clients.dynamodb.put_item(
        TableName=names.events,
        Item=structs.replace(poison, payload=READABLE).to_item(),
    )
    assert command(child_env, "dead-letters", "redrive", "--aggregate", "mallory") == 0
    assert get(projector, "/balances/mallory?min_version=3")["balance"] == "12.00"
    assert get(projector, "/activity/mallory?min_version=3")["version"] == 3
    assert command(child_env, "dead-letters", "redrive", "--all") == 0


def test_every_route_but_health_asks_for_a_token_with_its_scope(
    start_projector: Callable[..., Service], clients: Clients, names: Names, child_env: dict[str, str]
) -> None:
    tokens = {name: f"kf_{name}" for name in ("read", "operate")}
    hashed = (f"{name}:{name}:{hashlib.sha256(token.encode()).hexdigest()}" for name, token in tokens.items())
    child_env |= {"KINFOLD_ACCESS": "tokens", "KINFOLD_TOKENS": ",".join(hashed)}
    projector = start_projector(ready=False)
    until(lambda: status(projector, "/health", None), lambda code: code == 200)
    bad = stored_event("mallory", event_type="Nonsense")
    clients.dynamodb.put_item(TableName=names.events, Item=bad.to_item())
    reading = [("GET", "/balances/alice"), ("GET", "/activity/alice")]
    letter = "/dead-letters/balance-summary~mallory~1"
    operating = [("GET", path) for path in ("/ready", "/metrics", "/router/", "/no-such-route", "/dead-letters")]
    operating += [("GET", letter), ("POST", f"{letter}/redrive"), ("POST", f"{letter}/skip")]
    until(lambda: status(projector, letter, tokens["operate"]), lambda code: code == 200)
    for method, path in [*reading, *operating]:
        allowed, other = ("operate", "read") if (method, path) in operating else ("read", "operate")
        assert status(projector, path, None, method) == 401, path
        assert status(projector, path, "kf_wrong", method) == 401, path
        assert status(projector, path, tokens[other], method) == 403, path
        assert (status(projector, path, tokens[allowed], method) or 0) in {200, 400, 404, 409}, path
    assert status(projector, f"{letter}/skip", tokens["operate"], "POST", b'{"reason": "ticket 4711"}') == 200
    assert status(projector, "/balances/mallory?min_version=1&wait=1", tokens["read"]) == 200
    assert status(projector, "/dead-letters/nobody", tokens["operate"]) == 404


def test_many_halted_aggregates_stop_it_with_their_own_exit_code(
    start_projector: Callable[..., Service], clients: Clients, names: Names, child_env: dict[str, str]
) -> None:
    child_env["KINFOLD_STORM_LIMIT"] = "5"
    projector = start_projector()
    for number in range(10):
        bad = stored_event(f"bad-{number}", event_type="Nonsense")
        clients.dynamodb.put_item(TableName=names.events, Item=bad.to_item())
    until(lambda: projector.exit_code, lambda code: code is not None)
    assert projector.exit_code == 3
    assert "That looks like a bad deploy" in projector.log.read_text()


def test_with_each_service_out_for_a_while_it_reports_it_keeps_running_and_loses_nothing(
    aws_endpoint: str,
    start_projector: Callable[..., Service],
    clients: Clients,
    names: Names,
    child_env: dict[str, str],
) -> None:
    with FaultProxy(aws_endpoint) as proxy:
        child_env["AWS_ENDPOINT_URL"] = proxy.url
        projector = start_projector()
        with LedgerLoad(clients, names, per_second=30) as load:
            for service in ("DynamoDB", "Kinesis"):
                proxy.break_service(service)
                reason = until(lambda: not_ready(projector), lambda reason: reason is not None)
                assert reason
                time.sleep(OUTAGE)
                proxy.mend()
                until(lambda: not_ready(projector), lambda reason: reason is None)
        assert load.differences() == {}
        assert projector.exit_code is None
        assert clients.dynamodb.scan(TableName=names.dead_letters)["Count"] == 0


def test_a_shard_that_could_never_be_read_is_told_as_one_that_cannot_be_read_any_more(
    aws_endpoint: str, start_projector: Callable[..., Service], child_env: dict[str, str]
) -> None:
    with FaultProxy(aws_endpoint) as proxy:
        child_env["AWS_ENDPOINT_URL"] = proxy.url
        proxy.throttle("GetRecords")
        projector = start_projector(ready=False)
        until(lambda: status(projector, "/ready", None))
        until(lambda: not_ready(projector), lambda reason: reason is not None and "has not been read since" in reason)
        proxy.mend()
        until(lambda: not_ready(projector), lambda reason: reason is None)


def status(
    projector: Service, path: str, token: str | None, method: str = "GET", body: bytes | None = None
) -> int | None:
    """The status of one request, negative for an error that is no problem details; None while nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"Content-Type": "application/json"} if body else {}
    request = urllib.request.Request(f"{projector.url}{path}", data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code if error.headers["Content-Type"].startswith("application/problem+json") else -error.code
    except OSError:
        return None


def not_ready(projector: Service) -> str | None:
    """Why the projector is not ready, None when it is."""
    try:
        with urllib.request.urlopen(f"{projector.url}/ready", timeout=10):
            return None
    except urllib.error.HTTPError as error:
        with error:
            return str(json.load(error)["detail"])


def command(env: dict[str, str], *arguments: str) -> int:
    """Run an operator's command; its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "kinfold", "projector", *arguments], env=env, timeout=PATIENCE
    ).returncode
