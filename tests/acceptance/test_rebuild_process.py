"""Rebuild, verify and replay as an operator runs them: processes, beside running workers, writers and readers."""

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from kinfold.local.service import Service
from kinfold.scrape import counter
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.engine.control_rows import Control, Generations
from projector.rebuild.build_lease import BuildStore
from tests.support.accounts import deposit_on_each
from tests.support.aws.tables import rows
from tests.support.balance_readers import BalanceReaders
from tests.support.ledger_load import LedgerLoad
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: Records of the stream that are replayed; 20,000 by hand, fewer in every run.
REPLAYED = int(os.environ.get("REPLAYED_RECORDS", "1000"))


@pytest.fixture
def start_command(start_kinfold: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.Popen[str]]:
    """Start ``kinfold projector ...`` without waiting for it."""
    return lambda *arguments: start_kinfold("projector", *arguments)


@pytest.fixture
def command(kinfold: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """Run ``kinfold projector ...``; gives exit code, standard output and standard error."""
    return lambda *arguments: kinfold("projector", *arguments)


def control(clients: Clients, names: Names, projection: str = "balance-summary") -> Control:
    return Generations(clients.dynamodb, names.projections).read(projection)


def builder(clients: Clients, names: Names) -> str | None:
    """The token of the process that builds a generation, dead or alive."""
    build = BuildStore(clients.dynamodb, names.projections).read("balance-summary")
    return build.token if build else None


def test_rebuild_beside_writes_workers_and_readers(
    start_projector: Callable[..., Service],
    command: Callable[..., tuple[int, str, str]],
    start_command: Callable[..., subprocess.Popen[str]],
    clients: Clients,
    names: Names,
) -> None:
    store = EventStore(clients.dynamodb, names.events)
    first = start_projector("worker-1")
    start_projector("worker-2")
    quiet = deposit_on_each(store, 20, 5, "quiet")
    old = "balance-summary-{}-{}"
    with LedgerLoad(clients, names, per_second=15) as load:
        everyone = [*quiet, *load.account_ids]
        until(lambda: len(rows(clients, old.format(names.profile, 1))) == len(everyone))

        # A live generation is replaced: no reader sees an account missing, wrong, or going back.
        with BalanceReaders(first.url, everyone) as readers:
            code, out, err = command("rebuild", "--json")
            assert code == 0, err
        assert {(each["generation"], each["replaced"]) for each in map(json.loads, out.splitlines())} == {(2, 1)}
        assert readers.wrong(store) == []
        assert readers.missing() == []
        assert readers.gone_back() == []
        assert readers.errors == []

        # The live one is emptied by hand: what comes back before the flip is right, and all is there after it.
        emptied = old.format(names.profile, 2)
        for account_id, _ in rows(clients, emptied):
            clients.dynamodb.delete_item(TableName=emptied, Key={"aggregateId": {"S": account_id}})
        assert command("verify", "--projection", "balance-summary")[0] == 5
        with BalanceReaders(first.url, everyone) as readers:
            rebuilding = start_command("rebuild", "--projection", "balance-summary")
            until(lambda: control(clients, names).active == 3)
            # A reader's view is at most two seconds old.
            flipped_at = time.monotonic() + 2.1
            out, err = rebuilding.communicate(timeout=PATIENCE)
            assert rebuilding.returncode == 0, err
            time.sleep(2)
        assert readers.missing(), "they looked while it was empty"
        assert readers.wrong(store) == []
        assert readers.missing(since=flipped_at) == []
        assert readers.gone_back() == []
        assert readers.errors == []
    assert load.differences() == {}
    code, out, _ = command("verify", "--json")
    assert (code, out.count('"aggregateId"')) == (0, 0), out


@pytest.fixture
def history(ledger_tables: Names, clients: Clients) -> list[str]:
    """Accounts from before there was a stream: only the event store has their events."""
    return deposit_on_each(EventStore(clients.dynamodb, ledger_tables.events), 80, 20)


def test_rebuild_killed_at_three_random_points_and_started_again_ends_right(
    history: list[str],
    start_projector: Callable[..., Service],
    command: Callable[..., tuple[int, str, str]],
    start_command: Callable[..., subprocess.Popen[str]],
    clients: Clients,
    names: Names,
) -> None:
    worker = start_projector()
    choose = random.Random()
    with LedgerLoad(clients, names, per_second=15) as load:
        builders: set[str | None] = {builder(clients, names)}
        for _ in range(3):
            killed = start_command("rebuild", "--projection", "balance-summary")
            # A later one first watches whether the one before is dead: the kill is to hit the work.
            until(lambda: builder(clients, names) not in builders)
            builders.add(builder(clients, names))
            time.sleep(choose.uniform(0, 5))
            killed.kill()
            killed.communicate()
        code, out, err = command("rebuild", "--projection", "balance-summary", "--json")
        assert code == 0, err
        generation = json.loads(out)["generation"]
    worker.check()
    assert load.differences() == {}
    held = control(clients, names)
    assert held == Control(generation, frozenset({generation}))
    code, out, _ = command("verify", "--projection", "balance-summary", "--json")
    assert code == 0, out
    assert json.loads(out.splitlines()[-1])["tally"] == {"agrees": len(history) + 6}


def test_the_second_of_two_rebuilds_is_refused_and_an_aborted_one_leaves_nothing(
    start_projector: Callable[..., Service],
    command: Callable[..., tuple[int, str, str]],
    start_command: Callable[..., subprocess.Popen[str]],
    clients: Clients,
    names: Names,
) -> None:
    store = EventStore(clients.dynamodb, names.events)
    deposit_on_each(store, 3, 5)
    worker = start_projector()
    both = [start_command("rebuild"), start_command("rebuild")]
    errors = {process.communicate(timeout=PATIENCE)[1]: process.returncode for process in both}
    assert sorted(errors.values()) == [0, 6], errors
    refusal = next(error for error, code in errors.items() if code == 6)
    assert re.search("is being built by another process|started at this moment", refusal)
    assert control(clients, names).active == 2

    given_up = start_command("rebuild")
    # The last one that begins: what is given up before it begins would be built all the same.
    until(lambda: control(clients, names, "daily-activity").building is not None)
    given_up.send_signal(signal.SIGSTOP)  # however long the other command takes to start
    assert command("rebuild", "--abort")[0] == 0
    given_up.send_signal(signal.SIGCONT)
    assert given_up.wait(60) == 1
    assert "given up" in given_up.communicate()[1]
    held = control(clients, names)
    assert held == Control(2, frozenset({2}))
    assert f"balance-summary-{names.profile}-3" not in clients.dynamodb.list_tables()["TableNames"]
    worker.check()

    code, out, err = command("status", "--json")
    assert code == 0, out + err
    shown = json.loads(out)
    assert {shard["owner"] for shard in shown["shards"]} == {"worker-1"}
    assert [(each["name"], each["active"]) for each in shown["projections"]] == [
        ("balance-summary", 2),
        ("daily-activity", 2),
    ]
    assert counter(worker.url, "kinfold_projector_active_generation", projection="balance-summary") == 2
    worker.stop()
    code, out, _ = command("status")
    assert code == 5
    assert "is read by nobody" in " ".join(out.split())


def test_replay_from_trim_horizon_changes_no_row_and_counts_every_record_as_a_duplicate(
    start_projector: Callable[..., Service],
    command: Callable[..., tuple[int, str, str]],
    clients: Clients,
    names: Names,
) -> None:
    store = EventStore(clients.dynamodb, names.events)
    first = start_projector()
    deposit_on_each(store, 40, REPLAYED // 40)
    tables = [f"balance-summary-{names.profile}-1", f"daily-activity-{names.profile}-1"]
    until(lambda: sum(int(row["version"]["N"]) for row in rows(clients, tables[0]).values()) == REPLAYED)
    until(lambda: counter(first.url, "kinfold_projector_records") >= REPLAYED)
    code, _, err = command("replay", "--from", "trim-horizon")
    assert code == 6, err
    assert "stop the workers first: worker-1 has" in err
    assert "if it was killed, --force" in err
    code, _, err = command("replay", "--from", "trim-horizon", "--force")
    assert (code, "a worker is alive and renews shardId-" in err) == (6, True), err
    assert first.stop() == 0
    before = [rows(clients, name) for name in tables]

    code, out, err = command("replay", "--from", "trim-horizon")
    assert code == 0, err
    assert "4 shards: the next start of a projector reads everything that the stream still holds" in out
    second = start_projector("worker-2")
    until(lambda: counter(second.url, "kinfold_projector_records") >= REPLAYED)
    for name in tables:
        until(lambda: counter(second.url, "kinfold_projector_duplicates", table=name) >= REPLAYED)  # noqa: B023
    time.sleep(0.5)  # longer than between two reads: no record comes twice
    assert counter(second.url, "kinfold_projector_records") == REPLAYED
    for name in tables:
        assert counter(second.url, "kinfold_projector_duplicates", table=name) == REPLAYED
        assert counter(second.url, "kinfold_projector_applied", table=name) == 0
    assert [rows(clients, name) for name in tables] == before
    second.kill()

    code, _, err = command("replay", "--from", "2026-01-31T06:00Z", "--force")
    assert code == 0, err
    assert command("replay", "--from", "yesterday")[0] == 2
    code, out, _ = command("replay", "--from", "latest", "--json")
    assert (code, json.loads(out)["from"]) == (0, "latest")
