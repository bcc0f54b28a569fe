"""Dead letters redriven and skipped as an operator does after a bad deploy: many at once, by account or by reason."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from ledger.runtime.aws import Clients
from projector.components import Components
from projector.ingest.batch_handler import BatchHandler
from tests.integration.projector.conftest import deliver
from tests.support.accounts import READABLE, deposit, poison, stored_event
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.integration

Command = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def command(child_env: dict[str, str]) -> Command:
    """Run ``kinfold projector dead-letters ... --json``; gives its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
        words = [sys.executable, "-m", "kinfold", "projector", "dead-letters", *arguments, "--json"]
        answer = subprocess.run(words, env=child_env, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert answer.returncode in (0, 1), answer.stderr
        return answer.returncode, list(map(json.loads, answer.stdout.splitlines()))

    return run


@pytest.fixture
def halted(components: Components, clients: Clients, handler: BatchHandler) -> dict[str, str]:
    """Four halted accounts: the payload of two is of a newer schema, that of two is none; gives each one's reason."""
    reasons = {}
    for account_id in ("alice", "bob"):
        bad = poison(clients.dynamodb, components.names.events, deposit(components.store, account_id)[0])
        deliver(handler, components, bad)
        reasons[account_id] = "amount"
    newer = READABLE.replace('"schemaVersion":1', '"schemaVersion":9')
    for account_id in ("carol", "dave"):
        deposit(components.store, account_id)
        bad = structs.replace(stored_event(account_id, 2, newer))
        clients.dynamodb.put_item(TableName=components.names.events, Item=bad.to_item())
        deliver(handler, components, bad)
        reasons[account_id] = "schemaVersion is newer"
    return reasons


def open_accounts(command: Command) -> set[str]:
    return {letter["aggregateId"] for letter in command("list")[1]}


@pytest.mark.usefixtures("halted")
def test_skip_by_account_and_by_reason_first_dry_and_then_for_good(command: Command, components: Components) -> None:
    by_reason = ("skip", "--matching", "schemaVersion is newer", "--reason", "ticket 4711")
    code, planned = command(*by_reason, "--dry-run")
    assert code == 0
    assert {(each["aggregateId"], each["result"]) for each in planned} == {
        ("carol", "would be skipped"),
        ("dave", "would be skipped"),
    }
    assert open_accounts(command) == {"alice", "bob", "carol", "dave"}
    code, done = command(*by_reason)
    assert (code, [each["id"] for each in done]) == (0, [each["id"] for each in planned])
    assert len(done) == 2 * len(PROJECTIONS)
    assert {each["result"] for each in done} == {"skipped"}
    assert open_accounts(command) == {"alice", "bob"}
    head = components.models.active(BALANCE_SUMMARY).get("carol")
    assert head is not None
    assert (head.version, head.halted) == (2, None)
    code, done = command("skip", "--aggregate", "alice", "--reason", "ticket 4712")
    assert (code, {each["result"] for each in done}) == (0, {"skipped"})
    assert open_accounts(command) == {"bob"}
    assert command("skip", "--aggregate", "nobody", "--reason", "x") == (1, [])


def test_redrive_by_reason_leaves_the_others_alone(
    command: Command, components: Components, clients: Clients, halted: dict[str, str]
) -> None:
    for account_id in halted:
        good = stored_event(account_id, 2)
        clients.dynamodb.put_item(TableName=components.names.events, Item=good.to_item())
    code, done = command("redrive", "--matching", "schemaVersion is newer", "--dry-run")
    assert (code, {each["result"] for each in done}) == (0, {"would be redriven"})
    code, done = command("redrive", "--matching", "schemaVersion is newer")
    assert {(each["aggregateId"], each["result"]) for each in done} == {("carol", "redriven"), ("dave", "redriven")}
    assert open_accounts(command) == {"alice", "bob"}
    assert command("redrive", "--aggregate", "alice", "--matching", "schemaVersion is newer") == (0, [])


@pytest.mark.usefixtures("halted")
def test_one_that_cannot_be_skipped_holds_up_no_other(
    command: Command, components: Components, clients: Clients
) -> None:
    """Another worker, of a version that reads the event, has applied it meanwhile, and its letter is still open."""
    good = stored_event("alice", 2)
    clients.dynamodb.put_item(TableName=components.names.events, Item=good.to_item())
    for projector in components.new_projectors():
        halted = projector.model.get("alice")
        assert halted is not None
        assert projector.model.lift(halted)
        projector.apply([good])
    for dry_run in (["--dry-run"], []):
        code, done = command("skip", "--matching", "amount", "--reason", "ticket 4711", *dry_run)
        results = {each["id"].split("~")[1]: each["result"] for each in done}
        assert (code, results["alice"]) == (1, "cannot be skipped")
        assert results["bob"] == ("would be skipped" if dry_run else "skipped")
    assert open_accounts(command) == {"alice", "carol", "dave"}
