"""Each role of infra/access.yaml allows what its service calls, and nothing that no service calls.

The real commands run as processes on the endpoint and note every call of AWS that they make. What Amazon's KCL calls
from Java they cannot hear; that is held to the table in docs/running.md.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from kinfold.demo.raw_stream import read_raw
from kinfold.local.child import spawn, stop, tail
from ledger.audit.audit_log import AuditLog
from ledger.holds import Holds
from ledger.runtime.aws import Clients
from ledger.runtime.sockets import free_port
from ledger.store.change_record import decode
from ledger.store.errors import UnusableRecordError
from ledger.store.event_store import EventStore
from ledger.store.snapshots import SnapshotStore
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from projector.dead_letters.letters import DeadLetter, DeadLetters, Origin
from stream_bridge.watch.watermark import WatermarkStore
from tests.support.accounts import READABLE, deposit, poison
from tests.support.aws.permissions import Need, kcl_needs, table_arn
from tests.support.aws.templates import Role, Template
from tests.support.recorded_kinfold import AND, EXIT
from tests.support.sources import QUICK_KCL_ENV
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

ROLES: Final = ("Writer", "Projector", "Ensure", "Watch", "Relay", "Operator")

#: What a role may do although nothing here needs it.
EXPLAINED: Final = {
    ("Writer", "dynamodb:ConditionCheckItem"): "proves a version that is claimed; the writer reads before it appends",
    ("Writer", "dynamodb:DeleteItem"): "a snapshot of events that a restore of the table has lost",
    ("Projector", "dynamodb:BatchGetItem"): "records that arrived before the table was restored",
    ("Ensure", "dynamodb:UpdateKinesisStreamingDestination"): "a destination made by hand, with milliseconds",
    ("Watch", "dynamodb:UpdateKinesisStreamingDestination"): "the same",
    ("Relay", "dynamodb:DeleteItem"): "rows of shards that have left the table's stream",
    ("Relay", "dynamodb:GetItem"): "a look whether a write went through whose answer was lost",
}


class Actors:
    """Runs ``kinfold`` as processes, each in a role, and gathers what they needed."""

    def __init__(self, env: dict[str, str], home: Path) -> None:
        self._env, self._home, self._runs = env, home, 0

    def run(self, role: str, *words: str, env: Mapping[str, str] = {}, codes: tuple[int, ...] = (0,)) -> None:
        """Run a command to its end."""
        process, log = self._spawn(role, words, env)
        process.wait(PATIENCE)
        assert stop(process, 1) in codes, f"{' '.join(words)}:\n{tail(log, 40)}"

    def run_each(self, role: str, *commands: tuple[str, tuple[int, ...]]) -> None:
        """Run commands one after the other, each with the exit codes that are right."""
        words = f" {AND} ".join(command for command, _ in commands).split()
        process, log = self._spawn(role, tuple(words), {})
        process.wait(2 * PATIENCE)
        assert stop(process, 1) == 0, tail(log, 40)
        ended = [line.removeprefix(EXIT) for line in log.read_text().splitlines() if line.startswith(EXIT)]
        assert len(ended) == len(commands)
        for (command, codes), end in zip(commands, ended, strict=True):
            assert int(end.partition(":")[0]) in codes, f"{command}: {end}:\n{tail(log, 60)}"

    @contextmanager
    def serve(self, role: str, *words: str, env: Mapping[str, str]) -> Iterator[str]:
        """Run a daemon while the block runs; gives its URL once it is ready."""
        url = f"http://127.0.0.1:{(port := free_port())}"
        process, log = self._spawn(role, (*words, "--port", str(port)), env)
        try:
            until(lambda: answers(f"{url}/ready"), why=lambda: f"{words} is not ready:\n{tail(log, 40)}")
            yield url
        finally:
            code = stop(process, 60)
        assert code == 0, tail(log, 40)

    def needed(self, role: str) -> set[Need]:
        """What all processes of the role needed."""
        lines = [line for path in self._home.glob(f"{role}-*.needs") for line in path.read_text().splitlines()]
        return {(action, resource) for action, _, resource in (line.partition(" ") for line in lines)}

    def _spawn(self, role: str, words: tuple[str, ...], env: Mapping[str, str]) -> tuple[Any, Path]:
        self._runs += 1
        needs, log = (self._home / f"{role}-{self._runs}.{kind}" for kind in ("needs", "log"))
        return spawn("tests.support.recorded_kinfold", [str(needs), *words], env={**self._env, **env}, log=log), log


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=30).is_success
    except httpx.TransportError:
        return False


class Ledger:
    """What happens to the ledger from outside, by clients that nobody notes."""

    def __init__(self, clients: Clients, names: Names) -> None:
        self.clients, self.names = clients, names
        self._store = EventStore(clients.dynamodb, names.events)
        self.snapshots = SnapshotStore(clients.dynamodb, names.snapshots)

    def append(self, account: str, count: int = 1) -> StoredEvent:
        """Append deposits; gives the last."""
        return deposit(self._store, account, count)[-1]

    def poison(self, account: str) -> None:
        """Append an event that no fold can read, as a bad deploy of the writer might."""
        poison(self.clients.dynamodb, self.names.events, self.append(account))

    def mend(self, account: str, number: int) -> None:
        """Make an event readable, as nobody may, and out of the stream's sight."""
        self.destination(on=False)
        self.clients.dynamodb.update_item(
            TableName=self.names.events,
            Key={"aggregateId": {"S": account}, "sequenceNumber": {"N": str(number)}},
            UpdateExpression="SET payload = :payload",
            ExpressionAttributeValues={":payload": {"S": READABLE}},
        )
        self.destination(on=True)

    def destination(self, *, on: bool) -> None:
        arn = self.clients.kinesis.describe_stream_summary(StreamName=self.names.stream)["StreamDescriptionSummary"]
        dynamodb = self.clients.dynamodb
        change = dynamodb.enable_kinesis_streaming_destination if on else dynamodb.disable_kinesis_streaming_destination
        change(TableName=self.names.events, StreamArn=arn["StreamARN"])

    def on_stream(self, account: str) -> int:
        """How many of the account's events the stream shows."""
        found = set()
        for _, data in read_raw(self.clients.kinesis, self.names.stream):
            with suppress(UnusableRecordError):  # a mended event, which the relay carries as what it is
                event = decode(data, self.names.events)
                found.add((event.aggregate_id, event.sequence_number))
        return sum(each == account for each, _ in found)


def the_bridge_is_made(actors: Actors) -> None:
    new = {"KINFOLD_RETENTION_HOURS": "48", "KINFOLD_STREAM_KEY": "alias/aws/kinesis"}
    actors.run("Ensure", "bridge", "ensure", "--shards", "2", env=new)
    actors.run("Ensure", "bridge", "ensure", env={"KINFOLD_BRIDGE": "relay"})


def the_writer_serves(actors: Actors, ledger: Ledger) -> None:
    snapshots = table_arn(ledger.names.snapshots)
    with (
        actors.serve("Writer", "writer", "serve", env={"KINFOLD_SNAPSHOT_INTERVAL": "3"}) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as http,
    ):
        path, body = "/accounts/alice/deposits", {"amount": "5.00", "currency": "EUR"}
        for number in range(4):
            assert http.post(path, json=body, headers={"Idempotency-Key": f"k{number}"}).status_code == 201
        assert http.post(path, json=body, headers={"Idempotency-Key": "k0"}).headers["Idempotency-Replayed"] == "true"
        assert http.post(path, json=body, headers={"If-Match": '"4"'}).status_code == 201
        assert http.post("/accounts/bob/deposits", json=body).status_code == 201
        assert http.post("/accounts/ivan/deposits", json=body).status_code == 201
        bet, settled = {"betId": "derby", "stake": "1.00", "currency": "EUR"}, {"payout": "1.00", "currency": "EUR"}
        assert http.post("/accounts/ivan/bets", json=bet).status_code == 201
        assert http.post("/accounts/ivan/bets/derby/settlement", json=settled).status_code == 201
        # Its snapshot is stored once the bet is archived, and after those before it: one thread stores them all.
        until(lambda: ledger.snapshots.find("ivan") is not None)
        # It is held in memory, with the bet, until the next append.
        assert http.post("/accounts/ivan/deposits", json=body).status_code == 201
        assert http.post("/accounts/ivan/bets", json=bet).status_code == 422
        for read in (
            "alice",
            "alice?version=2",
            "alice?at=2030-01-01T00:00:00Z",
            "alice/events?order=newest",
            "alice/history",
        ):
            assert http.get(f"/accounts/{read}").status_code == 200
    assert ("dynamodb:PutItem", snapshots) in actors.needed("Writer")


def the_projector_meets_everything(actors: Actors, ledger: Ledger) -> None:
    kcl = {"KINFOLD_CONSUMER": "kcl", "KINFOLD_WORKER_ID": "w", **QUICK_KCL_ENV}
    with actors.serve("Projector", "projector", "run", env=kcl) as url:

        def reaches(account: str, version: int) -> None:
            until(
                lambda: answers(f"{url}/balances/{account}?min_version={version}"),
                why=lambda: f"{account} is behind",
            )

        reaches("alice", 5)
        ledger.destination(on=False)
        ledger.append("alice")
        ledger.destination(on=True)
        ledger.append("alice")
        reaches("alice", 7)  # the gap is read from the event store
        for account in ("carol", "dave"):
            ledger.poison(account)
            letter = f"{url}/dead-letters/balance-summary~{account}~2"
            until(lambda letter=letter: answers(letter), why=lambda: "no dead letter")  # type: ignore[misc]
        ledger.mend("carol", 2)
        redriven = httpx.post(f"{url}/dead-letters/balance-summary~carol~2/redrive", trust_env=False, timeout=30)
        assert redriven.status_code == 200, redriven.text
        assert answers(f"{url}/metrics")
        assert answers(f"{url}/activity/alice")
        assert answers(f"{url}/activity")
        assert answers(f"{url}/balances")


def the_watch_heals(actors: Actors, ledger: Ledger) -> None:
    quick = {"KINFOLD_WATCH_INTERVAL": "0.5", "KINFOLD_WATCH_GRACE": "2", "KINFOLD_WATCH_POLL": "0.3"}
    marks = WatermarkStore(ledger.clients.dynamodb, ledger.names.bridge)
    holds = Holds(ledger.clients.dynamodb, ledger.names.bridge)
    holds.set("test", "nothing reaches the stream until three events have missed it")
    with actors.serve("Watch", "bridge", "watch", env=quick):
        ledger.destination(on=False)
        ledger.append("erin", 3)
        holds.lift()
        until(lambda: ledger.on_stream("erin") == 3)
        until(lambda: marks.find() is not None)
    mark = marks.find()
    assert mark is not None
    marks.save(replace(mark, gap=(mark.moment - timedelta(hours=1), mark.moment)))
    with actors.serve("Watch", "bridge", "watch", env=quick):
        until(lambda: (now := marks.find()) is not None and now.gap is None)


def the_relay_carries(actors: Actors, ledger: Ledger) -> None:
    ledger.destination(on=False)
    relay = {"KINFOLD_BRIDGE": "relay", "KINFOLD_WORKER_ID": "r"}
    with actors.serve("Relay", "bridge", "relay", env=relay) as url:
        ledger.append("frank", 4)
        until(lambda: ledger.on_stream("frank") == 4)
        assert answers(f"{url}/metrics")
        actors.run("Operator", "bridge", "status", "--sample", "0", env=relay)
    with actors.serve("Relay", "bridge", "relay", env=relay):
        ledger.append("frank")
        until(lambda: ledger.on_stream("frank") == 5)
    ledger.destination(on=True)


def an_operator_works(actors: Actors, ledger: Ledger) -> None:
    done = (0,)
    actors.run_each(
        "Operator",
        ("bridge status --sample 1", done),
        ("projector status", (0, 5)),
        ("top --once", (0, 5)),
        ("account alice", done),
        ("events --aggregate alice", done),
        ("events --minutes 60", done),
        ("projector dead-letters list", done),
        ("projector dead-letters show balance-summary~dave~2", done),
        ("projector dead-letters redrive balance-summary~dave~2", (1,)),
        ("projector dead-letters skip balance-summary~dave~2 --reason test", done),
    )
    ledger.mend("dave", 2)
    rows = f"balance-summary-{ledger.names.profile}-1"
    alice = {"aggregateId": {"S": "alice"}}
    ledger.clients.dynamodb.update_item(
        TableName=rows, Key=alice, UpdateExpression="SET balance = :b", ExpressionAttributeValues={":b": {"S": "0.00"}}
    )
    ghost = ledger.clients.dynamodb.get_item(TableName=rows, Key=alice)["Item"] | {"aggregateId": {"S": "ghost"}}
    ledger.clients.dynamodb.put_item(TableName=rows, Item=ghost)
    lost = {"S": "of an event that is lost"}
    for table, key in ((ledger.names.snapshots, "aggregateId"), (ledger.names.commands, "commandId")):
        [item, *_] = ledger.clients.dynamodb.scan(TableName=table)["Items"]
        stale = item | {key: {"S": "ghost"}, "eventHash": lost}
        ledger.clients.dynamodb.put_item(TableName=table, Item=stale)
    DeadLetters(ledger.clients.dynamodb, ledger.names.dead_letters).store(
        DeadLetter("it is lost", Origin("stream"), b"", "balance-summary", "ghost", 7)
    )
    actors.run_each(
        "Operator",
        ("projector dead-letters redrive --all", done),
        ("projector verify --repair --wait 0", (0, 4, 5)),
        ("projector rebuild", (0, 4)),
        ("projector generations list", done),
        ("projector generations drop balance-summary 1", done),
        ("projector replay --from latest", done),
        ("bridge backfill --all", done),
        ("bridge backfill --status", done),
        ("bridge backfill --aggregate alice", done),
        ("bridge hold --reason test", done),
        ("bridge hold --lift", done),
        ("bridge scale --shards 3 --retention 72 --key none", done),
        ("bridge scale --retention 24 --key alias/aws/kinesis --yes", done),
        ("bridge scale --on-demand", (0, 1)),  # not every emulator knows it
        ("restore --dry-run", done),
        ("restore", done),
        ("audit", done),
    )
    # Whoever acts is recorded: by these commands, and over HTTP.
    acted = {each.action for each in AuditLog(ledger.clients.dynamodb, ledger.names.audit).recent(100)}
    assert acted == {
        *("bridge backfill", "bridge ensure", "bridge hold", "bridge scale"),
        *("projector dead-letters redrive", "projector dead-letters skip", "projector generations drop"),
        *("projector rebuild", "projector replay", "projector verify", "restore"),
    }


def test_each_role_allows_what_its_service_calls_and_no_more(
    child_env: dict[str, str], clients: Clients, names: Names, tmp_path: Path
) -> None:
    actors, ledger = Actors(child_env, tmp_path), Ledger(clients, names)
    the_bridge_is_made(actors)
    the_writer_serves(actors, ledger)
    the_projector_meets_everything(actors, ledger)
    the_watch_heals(actors, ledger)
    the_relay_carries(actors, ledger)
    an_operator_works(actors, ledger)

    template = Template("access", Profile=names.profile, TokensSecret="secret")
    roles = {name: Role(template, f"{name}Role") for name in ROLES}
    refused = [(name, *need) for name in ROLES for need in sorted(actors.needed(name)) if not roles[name].allows(*need)]
    assert refused == [], "\n".join(map(" ".join, refused))
    heard = {name: actors.needed(name) for name in ROLES}
    heard["Projector"] |= kcl_needs(names)
    idle = {(name, action): on for name in ROLES for action, on in never_needed(roles[name], heard[name])}
    assert idle.keys() <= EXPLAINED.keys(), {each: on for each, on in idle.items() if each not in EXPLAINED}


def never_needed(role: Role, needed: set[Need]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Action and resources of each permission that nothing needed; a statement's read models count as one resource."""
    for statement in role.statements:
        models = tuple(each for each in statement.resources if each.endswith("-*"))
        others = [(each,) for each in statement.resources if each not in models]
        for resources in [*others, models] if models else others:
            for action in statement.actions:
                part = replace(statement, actions=(action,), resources=resources)
                if not any(part.covers(*need) for need in needed):
                    yield action, resources
