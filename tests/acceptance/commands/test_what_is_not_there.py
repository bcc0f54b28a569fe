"""An account, letter, projection or generation that is not there: each command says so, and does not exit with 0."""

from collections.abc import Callable

import pytest

from betting.projections import PROJECTIONS
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.engine.provisioning import prepare
from tests.support.accounts import deposit
from tests.support.aws.tables import made_bridge

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

Kinfold = Callable[..., tuple[int, str, str]]
NAMED = {
    "bridge backfill --aggregate nobody": (1, "nobody"),
    "bridge backfill --aggregate nobody --since 2020-01-01T00:00Z --dry-run": (1, "nobody"),
    "bridge backfill --aggregate alice --aggregate nobody --aggregate noone": (1, "nobody, noone"),
    "bridge backfill --aggregate nobody --json": (1, "nobody"),
    "bridge backfill --aggregate no/body": (2, "--aggregate"),
    "projector dead-letters list --aggregate nobody": (1, "nobody"),
    "projector dead-letters redrive --aggregate nobody": (1, "nobody"),
    "projector dead-letters redrive --aggregate nobody --matching x --dry-run": (1, "nobody"),
    "projector dead-letters skip --aggregate nobody --reason r": (1, "nobody"),
    "projector dead-letters show balance-summary~nobody~1": (1, "balance-summary~nobody~1"),
    "projector dead-letters redrive balance-summary~nobody~1": (1, "balance-summary~nobody~1"),
    "projector dead-letters skip balance-summary~nobody~1 --reason r": (1, "balance-summary~nobody~1"),
    "projector generations drop nothing 1": (2, "nothing"),
    "projector generations drop balance-summary 7": (1, "7"),
    "projector generations list --projection nothing": (2, "nothing"),
    "projector verify --projection nothing": (2, "nothing"),
    "projector rebuild --projection nothing": (2, "nothing"),
    "projector rebuild --projection nothing --abort": (2, "nothing"),
}


def test_what_is_named_and_not_there(kinfold: Kinfold, clients: Clients, names: Names) -> None:
    made_bridge(clients, names, 1)
    prepare(clients.dynamodb, names, PROJECTIONS)
    deposit(EventStore(clients.dynamodb, names.events), "alice")
    for command, (code, name) in NAMED.items():
        ended, out, err = kinfold(*command.split())
        assert (command, ended, out) == (command, code, "")
        assert name in err


def test_an_account_that_is_there_has_nothing_to_do(kinfold: Kinfold, clients: Clients, names: Names) -> None:
    made_bridge(clients, names, 1)
    prepare(clients.dynamodb, names, PROJECTIONS)
    deposit(EventStore(clients.dynamodb, names.events), "alice")
    for command in ("list", "redrive"):
        assert kinfold("projector", "dead-letters", command, "--aggregate", "alice")[0] == 0
    code, out, _ = kinfold("bridge", "backfill", "--aggregate", "alice", "--until", "2020-01-01T00:00Z")
    assert (code, "0 put on the stream" in out) == (0, True)
