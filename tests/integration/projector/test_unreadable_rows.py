"""A row of a read model that somebody has edited so that it cannot be read: its account waits, and nobody else."""

import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from betting.projections.daily_activity import DAILY_ACTIVITY
from ledger.runtime.aws import Clients
from ledger.runtime.progress_bar import ProgressBars
from ledger.store.parallel_scan import Cursor, RetryUntilStopped
from projector.components import Components
from projector.dead_letters.redrive import DeadLetterError
from projector.dead_letters.storm_guard import StormError
from projector.engine.read_model import UnreadableRowError
from projector.ingest.batch_handler import BatchHandler
from projector.projection import HEAD, Projection
from projector.rebuild.rebuild import Rebuild
from projector.verification.repair import Repair
from projector.verification.verification import verification_of
from tests.integration.projector.conftest import MakeComponents, deliver
from tests.support.accounts import change_record, deposit

pytestmark = pytest.mark.integration

Change = Callable[[dict[str, Any]], object]
OF_ALL: Final[dict[str, Change]] = {
    "version is text": lambda row: row.update(version={"S": "one"}),
    "version is gone": lambda row: row.pop("version"),
    "version is no number of events": lambda row: row.update(version={"N": "-5"}),
    "version is no whole number": lambda row: row.update(version={"N": "1.5"}),
    "halt is a text": lambda row: row.update(halted={"S": "yes"}),
    "halt has no letter": lambda row: row.update(halted={"M": {"reason": {"S": "r"}}}),
    "hash is a number": lambda row: row.update(eventHash={"N": "1"}),
    "revision is a text": lambda row: row.update(revision={"S": "x"}),
}
OF_STATE: Final[dict[str, Change]] = {
    "amount is a number": lambda row: row.update(deposited={"N": "1"}),
    "amount is none": lambda row: row.update(deposited={"S": "NaN"}),
    "amount has another form": lambda row: row.update(deposited={"S": "1e2"}),
    "amount is gone": lambda row: row.pop("deposited"),
    "attribute is null": lambda row: row.update(deposited={"NULL": True}),
}
ROWS: Final = [
    *((BALANCE_SUMMARY, HEAD, name) for name in (*OF_ALL, *OF_STATE)),
    *((DAILY_ACTIVITY, HEAD, name) for name in OF_ALL),
    *((DAILY_ACTIVITY, "part", name) for name in (*OF_ALL, *OF_STATE)),
]


def edit(
    components: Components, projection: Projection[Any], part: str, change: Change, account: str = "alice"
) -> None:
    """As an operator does in the console of AWS."""
    dynamodb, table = components.clients.dynamodb, components.models.active(projection).table
    names = {"aggregateId", projection.part_name or "aggregateId"}
    rows = [item for item in dynamodb.scan(TableName=table)["Items"] if item["aggregateId"]["S"] == account]
    name = projection.part_name
    (row,) = [item for item in rows if name is None or (item[name]["S"] == HEAD) == (part == HEAD)]
    before = dict(row)
    change(row)
    assert {name: row[name] for name in names} == {name: before[name] for name in names}
    dynamodb.put_item(TableName=table, Item=row)


def repair(components: Components, projection: Projection[Any]) -> list[tuple[str, str, str]]:
    """`verify --repair`: what it found, did, and found then."""
    findings: list[tuple[str, str, str]] = []
    model = components.models.active(projection)
    pass_ = verification_of(
        components,
        model,
        RetryUntilStopped(threading.Event(), print),
        lambda finding: findings.append((finding.found.kind, finding.done, finding.now.kind)),
        repairer=Repair(components.clients.dynamodb, model, components.feeder_of_all(projection, cache_size=10)),
        wait=0,
    )
    pass_.everything((Cursor(),), lambda *_: None)
    return findings


@pytest.mark.parametrize(("projection", "part", "name"), ROWS, ids=lambda each: getattr(each, "name", each))
def test_its_account_waits_until_verify_repairs_it(
    components: Components, another: MakeComponents, projection: Projection[Any], part: str, name: str
) -> None:
    store, letter = components.store, f"{projection.name}~alice~row"
    deliver(components.batch_handler(), components, *deposit(store, "alice"))
    edit(components, projection, part, (OF_ALL | OF_STATE)[name])
    worker = another()
    handler = worker.batch_handler()
    for _ in range(2):
        deliver(handler, components, *deposit(store, "alice"), *deposit(store, "bob"))

    for each in PROJECTIONS:
        bob = components.models.active(each).get("bob")
        assert bob is not None
        assert bob.version == 2, "every other account goes on"
    (found,) = components.letters.list()
    assert (found.id, found.state, found.attempts) == (letter, "open", 2)
    for word in (components.models.active(projection).table, "alice", "`kinfold projector verify --repair`"):
        assert word in found.letter.reason
    redriven = components.redrive.redrive(letter, components.new_projectors, by="test")
    assert (redriven.result, redriven.reason) == ("still halted", found.letter.reason)
    with pytest.raises(DeadLetterError, match="there is no event to skip"):
        components.redrive.skip(letter, components.new_projectors, by="test", why="test")

    assert repair(components, projection) == [("wrong", "rewritten", "agrees")]
    assert repair(components, projection) == []
    head = components.models.active(projection).get("alice")
    assert head is not None
    assert head.version == 3
    deliver(handler, components, *deposit(store, "alice"))
    assert repair(components, projection) == []
    assert components.redrive.redrive(letter, components.new_projectors, by="test").result == "not halted"
    assert [each.state for each in components.letters.list()] == ["redriven"]


def test_a_rebuild_replaces_it(components: Components, handler: BatchHandler) -> None:
    deliver(handler, components, *deposit(components.store, "alice"))
    for projection in PROJECTIONS:
        edit(components, projection, HEAD, OF_ALL["version is text"])
    components.skips.load()
    with ProgressBars() as progress:
        Rebuild(components, progress).run(list(PROJECTIONS), segments=1)
    components.models.refresh()
    for projection in PROJECTIONS:
        head = components.models.active(projection).get("alice")
        assert head is not None
        assert head.version == 1


def test_a_record_that_halts_its_account_meets_it(components: Components, handler: BatchHandler) -> None:
    deliver(handler, components, *deposit(components.store, "alice"))
    edit(components, BALANCE_SUMMARY, HEAD, OF_ALL["version is text"])
    (event,) = deposit(components.store, "alice")
    tampered = change_record(event, components.names.events, name="MODIFY")
    deliver(handler, components, tampered, *deposit(components.store, "bob"))
    with pytest.raises(UnreadableRowError):
        components.models.active(BALANCE_SUMMARY).get("alice")
    daily = components.models.active(DAILY_ACTIVITY).get("alice")
    assert daily is not None
    assert daily.halted is not None


def test_many_of_them_are_a_storm(components: Components, another: MakeComponents, clients: Clients) -> None:
    """A deploy that can read no row looks like this."""
    store, limit = components.store, components.settings.storm_limit
    events = [event for number in range(limit + 1) for event in deposit(store, f"acc-{number}")]
    deliver(components.batch_handler(), components, *events)
    for number in range(limit + 1):
        clients.dynamodb.update_item(
            TableName=components.models.active(BALANCE_SUMMARY).table,
            Key={"aggregateId": {"S": f"acc-{number}"}},
            UpdateExpression="SET deposited = :d",
            ExpressionAttributeValues={":d": {"S": "?"}},
        )
    more = [event for number in range(limit + 1) for event in deposit(store, f"acc-{number}")]
    with pytest.raises(StormError):
        deliver(another().batch_handler(), components, *more)
