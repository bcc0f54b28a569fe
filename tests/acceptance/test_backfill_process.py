"""A backfill beside a projector: nothing to one that has the events, everything to one that has not."""

import json
import os
import re
import subprocess
from collections.abc import Callable

import pytest

from kinfold.local.service import Service
from kinfold.scrape import counter
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from stream_bridge.backfill.progress import BackfillStore
from tests.support.accounts import deposit_on_each
from tests.support.aws.tables import empty, rows
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: Events that are put again; 20,000 by hand, fewer in every run.
BACKFILLED = int(os.environ.get("BACKFILLED_EVENTS", "1000"))
ACCOUNTS = 40


def test_it_changes_no_summary_and_restores_an_emptied_read_model(
    start_projector: Callable[..., Service],
    start_kinfold: Callable[..., subprocess.Popen[str]],
    kinfold: Callable[..., tuple[int, str, str]],
    clients: Clients,
    names: Names,
) -> None:
    first = start_projector()
    deposit_on_each(EventStore(clients.dynamodb, names.events), ACCOUNTS, BACKFILLED // ACCOUNTS)
    tables = [f"balance-summary-{names.profile}-1", f"daily-activity-{names.profile}-1"]

    def all_there() -> bool:
        return sum(int(row["version"]["N"]) for row in rows(clients, tables[0]).values()) == BACKFILLED

    until(all_there)
    until(lambda: counter(first.url, "kinfold_projector_records") >= BACKFILLED)
    before = [rows(clients, name) for name in tables]

    code, _, err = kinfold("bridge", "backfill")
    assert code == 2
    assert "say what to put" in err
    code, out, err = kinfold("bridge", "backfill", "--all", "--dry-run", "--json")
    assert (code, json.loads(out)["published"]) == (0, BACKFILLED), err
    # While one is at work, a second one is refused; killed half-way and given again, it resumes.
    process = start_kinfold("bridge", "backfill", "--all", "--read-rate", "2")
    jobs = BackfillStore(clients.dynamodb, names.bridge)
    until(lambda: (job := jobs.read("all accounts")) is not None and job.read > 0)
    for arguments in ((), ("--restart",)):
        code, _, err = kinfold("bridge", "backfill", "--all", *arguments)
        assert code == 6, err
        assert "the backfill of all accounts is being run by another process: wait for it" in " ".join(err.split())
    process.kill()
    process.communicate()
    code, out, err = kinfold("bridge", "backfill", "--all", "--rate", "5000", "--json")
    assert (code, json.loads(out)["read"]) == (0, BACKFILLED), err
    told = " ".join(err.split())
    assert "checking whether it is still running" in told
    assert re.search(r"resuming .* keeps its segments \(4\) and what is done \([1-9][0-9]* events read", told)
    assert "at most 5000 events put a second, no limit to reading" in told
    assert jobs.read("all accounts") is None
    until(lambda: counter(first.url, "kinfold_projector_records") >= 2 * BACKFILLED)
    for name in tables:
        until(lambda: counter(first.url, "kinfold_projector_duplicates", table=name) >= BACKFILLED)  # noqa: B023
    assert [rows(clients, name) for name in tables] == before
    assert counter(first.url, "kinfold_projector_applied", table=tables[0]) == BACKFILLED
    assert first.stop() == 0

    for name in tables:
        empty(clients, name)
    start_projector("worker-2")
    code, out, err = kinfold("bridge", "backfill", "--all", "--json")
    assert code == 0, err
    until(lambda: [rows(clients, name) for name in tables] == before)
