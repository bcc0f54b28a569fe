"""A ledger that the version before domains wrote is served, projected, verified and rebuilt by this one.

``tests/support/written_before.json`` holds its items, as 0.1.0 stored them before a domain was a package.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from betting import PROJECTIONS
from kinfold.local.service import Service
from kinfold.scrape import counter
from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from projector.engine.provisioning import prepare
from tests.support.aws.tables import rows
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

ITEMS: Final[dict[str, list[dict[str, Any]]]] = json.loads(
    (Path(__file__).parents[2] / "support" / "written_before.json").read_text()
)
BALANCES: Final = {"alice": ("97.00", 11), "bob": ("35.00", 5), "eve": ("5.00", 1)}


@pytest.fixture
def stored(bridge: None, clients: Clients, names: Names) -> None:
    """The former version's tables, as they were; only its recorded answers are kept for longer."""
    prepare(clients.dynamodb, names, PROJECTIONS)
    for table, items in ITEMS.items():
        for item in items:
            later = {"expiresAt": {"N": str(int(time.time()) + 86_400)}} if "expiresAt" in item else {}
            clients.dynamodb.put_item(TableName=table.replace("PROFILE", names.profile), Item=item | later)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


def test_what_the_version_before_wrote_is_this_ones_too(
    stored: None,
    start_service: Callable[..., Service],
    kinfold: Callable[..., tuple[int, str, str]],
    http: httpx.Client,
    clients: Clients,
    names: Names,
) -> None:
    tables = [f"{each.name}-{names.profile}-1" for each in PROJECTIONS]
    before = {table: rows(clients, table) for table in tables}
    assert kinfold("projector", "verify")[0] == 0
    writer = start_service("writer", "serve", KINFOLD_SNAPSHOT_INTERVAL="5")
    projector = start_service("projector", "run", KINFOLD_FAILOVER_TIME="3")

    def post(path: str, body: dict[str, str], **headers: str) -> httpx.Response:
        return http.post(f"{writer.url}/accounts/{path}", json={**body, "currency": "EUR"}, headers=headers)

    for account, (balance, version) in BALANCES.items():
        state = http.get(f"{writer.url}/accounts/{account}").json()
        assert (state["balance"], state["version"]) == (balance, version)
        summary = http.get(f"{projector.url}/balances/{account}", params={"min_version": version, "wait": 20}).json()
        assert (summary["balance"], summary["version"]) == (balance, version)
    assert http.get(f"{writer.url}/accounts/alice?version=4").json()["balance"] == "102.00"
    # The snapshots are used, with the bets that they have left to the archive.
    assert "kinfold_writer_snapshots_ignored_total{" not in http.get(f"{writer.url}/metrics").text
    assert post("alice/bets", {"betId": "derby", "stake": "1.00"}).json()["rule"] == "bet-already-placed"
    # A key that was used before the deployment is the same command's after it.
    recorded = next(each for each in ITEMS["commands-PROFILE"] if each["commandId"]["S"] == "anybody#settled")
    repeated = post("alice/bets/derby/settlement", {"payout": "0"}, **{"Idempotency-Key": "settled"})
    assert (repeated.status_code, repeated.text) == (201, recorded["body"]["S"])
    assert repeated.headers["Idempotency-Replayed"] == "true"

    # What the stream shows once more changes no row, to the last attribute.
    delivered = len(ITEMS["domain-events-PROFILE"])
    until(lambda: counter(projector.url, "kinfold_projector_records") >= delivered)
    assert {table: rows(clients, table) for table in tables} == before
    assert post("alice/deposits", {"amount": "1"}).json()["version"] == 12
    http.get(f"{projector.url}/balances/alice", params={"min_version": 12, "wait": 20}).raise_for_status()

    for command in (("projector", "verify"), ("projector", "rebuild"), ("projector", "verify")):
        code, out, err = kinfold(*command)
        assert code == 0, out + err
    code, out, err = kinfold("restore", "--dry-run", "--json")
    assert code == 0, err
    left = json.loads(out)["leftovers"]
    assert (left["snapshots"], left["archivedIds"], left["answers"]) == (0, 0, 0)
