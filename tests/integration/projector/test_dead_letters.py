"""What can never be applied: stored, halted, redriven, skipped; and nothing else held up or lost."""

import asyncio
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from msgspec import structs

from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from ledger.runtime.aws import Clients
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names, ensure_table
from projector.components import Components, build_components
from projector.dead_letters.letters import MAX_RAW, DeadLetter, Origin, StoredLetter
from projector.dead_letters.redrive import DeadLetterError
from projector.dead_letters.storm_guard import StormError
from projector.engine.read_model import ReadModel, table_spec
from projector.ingest.batch_handler import BatchHandler
from projector.projection import Row
from projector.rebuild.build_lease import BuildStore
from projector.settings import ProjectorSettings
from tests.integration.projector.conftest import deliver
from tests.support.accounts import READABLE, batch, change_record, deposit, poison, stored_event

pytestmark = pytest.mark.integration


def correct(clients: Clients, names: Names, bad: StoredEvent) -> None:
    """What a new version with an upcaster would read: the payload in order."""
    good = structs.replace(bad, payload=READABLE)
    clients.dynamodb.put_item(TableName=names.events, Item=good.to_item())


def head(components: Components, account_id: str) -> Row[Any]:
    row = components.models.active(BALANCE_SUMMARY).get(account_id)
    assert row is not None
    return row


def balance(components: Components, account_id: str) -> tuple[int, Decimal]:
    row = head(components, account_id)
    assert row.state is not None
    assert row.halted is None
    return row.version, row.state.balance


def letters(components: Components, **only: Any) -> dict[str, StoredLetter]:
    return {letter.id: letter for letter in components.letters.list(**only)}


def test_a_poisoned_account_is_halted_and_nothing_else(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    good, account = deposit(components.store, count=2), deposit(components.store, count=2)
    bad = poison(clients.dynamodb, components.names.events, account[-1])
    later = deposit(components.store, bad.aggregate_id, 2)
    delivered = deliver(handler, components, bad, *account, *good, *later)

    assert balance(components, good[0].aggregate_id) == (2, Decimal(2))
    halted = head(components, bad.aggregate_id)
    assert halted.version == 2
    assert halted.halted is not None
    assert halted.halted.sequence_number == 3
    assert halted.halted.reason.startswith("payload of FundsDeposited: amount")
    found = letters(components)
    assert found.keys() == {f"{projection.name}~{bad.aggregate_id}~3" for projection in PROJECTIONS}
    letter = found[halted.halted.dead_letter]
    assert (letter.attempts, letter.state, letter.letter.projection) == (1, "open", "balance-summary")
    assert letter.letter.origin.shard_id == "shardId-000000000000"
    assert letter.letter.origin.record_sequence_number == delivered.records[0].sequence_number
    assert letter.letter.raw == delivered.records[0].data


def test_an_event_of_another_type_halts_the_account_whose_key_it_has(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    account, good = deposit(components.store, count=2), deposit(components.store)
    misplaced = structs.replace(account[-1], sequence_number=3, aggregate_type="member")
    clients.dynamodb.put_item(TableName=components.names.events, Item=misplaced.to_item())
    deliver(handler, components, *account, misplaced, *good)

    assert balance(components, good[0].aggregate_id) == (1, Decimal(1))
    halted = head(components, misplaced.aggregate_id)
    assert halted.halted is not None
    assert (halted.version, halted.halted.sequence_number) == (2, 3)
    redriven = components.redrive.redrive(halted.halted.dead_letter, components.new_projectors, by="me")
    assert (redriven.result, redriven.reason) == (
        "still halted",
        "it is of aggregate type 'member', not of 'account'",
    )


def test_later_events_wait_in_the_store_and_a_redelivery_makes_no_second_letter(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    account = deposit(components.store)
    bad = poison(clients.dynamodb, components.names.events, account[0])
    deliver(handler, components, *account, bad)
    later = deposit(components.store, bad.aggregate_id, 3)
    deliver(handler, components, *later, bad, *account)
    assert head(components, bad.aggregate_id).version == 1
    assert len(letters(components)) == len(PROJECTIONS)


def test_a_poisoned_first_event_that_comes_again_makes_no_second_letter(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    account = f"acc-{uuid.uuid4().hex[:12]}"
    bad = stored_event(account, 1, "{}")
    clients.dynamodb.put_item(TableName=components.names.events, Item=bad.to_item())
    for _ in range(3):
        deliver(handler, components, bad)
    assert {letter.attempts for letter in letters(components).values()} == {1}
    assert head(components, account).halted is not None


def test_a_redrive_that_died_after_it_lifted_the_halt_is_finished_by_the_next_one(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    account = deposit(components.store, count=2)
    bad = poison(clients.dynamodb, components.names.events, account[-1])
    deliver(handler, components, *account, bad, *deposit(components.store, bad.aggregate_id, 2))
    correct(clients, components.names, bad)
    projectors = components.projectors.fed
    for projector in projectors():
        halted = projector.model.get(bad.aggregate_id)
        assert halted is not None
        assert projector.model.lift(halted)
    for each in sorted(letters(components)):
        components.redrive.redrive(each, projectors, by="me")
    assert balance(components, bad.aggregate_id) == (5, Decimal(14))


def test_a_crash_between_letter_and_halt_counts_an_attempt_more(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    account = deposit(components.store)
    bad = poison(clients.dynamodb, components.names.events, account[0])
    deliver(handler, components, *account, bad)
    for projection in PROJECTIONS:
        clients.dynamodb.update_item(
            TableName=components.models.active(projection).table,
            Key=components.models.active(projection).key(bad.aggregate_id),
            UpdateExpression="REMOVE halted",
        )
    deliver(handler, components, bad)
    assert [letter.attempts for letter in letters(components).values()] == [2] * len(PROJECTIONS)
    assert head(components, bad.aggregate_id).halted is not None


def test_a_redrive_brings_the_account_to_its_fold_and_can_be_repeated(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    account = deposit(components.store, count=2)
    bad = poison(clients.dynamodb, components.names.events, account[-1])
    deliver(handler, components, *account, bad, *deposit(components.store, bad.aggregate_id, 2))
    projectors = components.projectors.fed
    ids = sorted(letters(components))

    assert {components.redrive.redrive(each, projectors, by="me").result for each in ids} == {"still halted"}
    correct(clients, components.names, bad)
    dry = [components.redrive.redrive(each, projectors, by="me", dry_run=True).result for each in ids]
    assert dry == ["would be redriven"] * len(ids)
    assert head(components, bad.aggregate_id).halted is not None
    assert {components.redrive.redrive(each, projectors, by="me").result for each in ids} == {"redriven"}
    assert balance(components, bad.aggregate_id) == (5, Decimal(14))
    assert {components.redrive.redrive(each, projectors, by="me").result for each in ids} == {"not halted"}
    assert balance(components, bad.aggregate_id) == (5, Decimal(14))
    assert {letter.state for letter in letters(components).values()} == {"redriven"}


def test_redrives_race_each_other_and_a_worker_and_no_event_is_left_behind(
    components: Components,
    clients: Clients,
    handler: BatchHandler,
    projector_settings: ProjectorSettings,
    executor: ThreadPoolExecutor,
) -> None:
    account = deposit(components.store)
    bad = poison(clients.dynamodb, components.names.events, account[0])
    deliver(handler, components, *account, bad)
    correct(clients, components.names, bad)
    ids = sorted(letters(components))
    start = threading.Barrier(3)

    def redrive() -> None:
        other = build_components(projector_settings, clients, executor)
        start.wait()
        for each in ids:
            other.redrive.redrive(each, other.projectors.fed, by="me")

    def work() -> None:
        start.wait()
        for _ in range(15):
            deliver(handler, components, *deposit(components.store, bad.aggregate_id, 1))

    with ThreadPoolExecutor(3) as racers:
        for racer in [racers.submit(each) for each in (redrive, redrive, work)]:
            racer.result()
    assert balance(components, bad.aggregate_id) == (17, Decimal(26))


def test_a_skip_passes_the_event_by_and_records_who_and_why(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    account = deposit(components.store, count=2)
    bad = poison(clients.dynamodb, components.names.events, account[-1])
    deliver(handler, components, *account, bad, *deposit(components.store, bad.aggregate_id, 1))
    letter_id = f"balance-summary~{bad.aggregate_id}~3"
    projectors = components.projectors.fed
    for why in ("ticket 1", "another reason"):
        assert components.redrive.skip(letter_id, projectors, by="ann", why=why).result == "skipped"
    assert balance(components, bad.aggregate_id) == (4, Decimal(3))
    letter = letters(components)[letter_id]
    assert (letter.state, letter.resolved_by, letter.resolved_why) == ("skipped", "ann", "ticket 1")
    assert head_of(components, "daily-activity", bad.aggregate_id).halted is not None, (
        "the other projection decides itself"
    )


def head_of(components: Components, projection: str, account_id: str) -> Row[Any]:
    row = components.models.active(components.models.projections[projection]).get(account_id)
    assert row is not None
    return row


def test_an_event_that_was_applied_meanwhile_cannot_be_skipped(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    account = deposit(components.store)
    bad = poison(clients.dynamodb, components.names.events, account[0])
    deliver(handler, components, *account, bad)
    correct(clients, components.names, bad)
    letter_id = f"balance-summary~{bad.aggregate_id}~2"
    components.redrive.redrive(letter_id, components.projectors.fed, by="me")
    with pytest.raises(DeadLetterError, match="event 2 was applied meanwhile"):
        components.redrive.skip(letter_id, components.projectors.fed, by="me", why="no")


def test_an_event_that_the_store_lacks_halts_its_account_until_a_redrive(
    components: Components, handler: BatchHandler
) -> None:
    account = deposit(components.store, count=2)
    phantom = structs.replace(account[1], sequence_number=9)
    deliver(handler, components, *account, phantom)
    letter_id = f"balance-summary~{phantom.aggregate_id}~9"
    assert "the event store holds none from 3 on" in letters(components)[letter_id].letter.reason
    with pytest.raises(DeadLetterError, match="there is nothing to skip"):
        components.redrive.skip(letter_id, components.projectors.fed, by="me", why="no")
    assert components.redrive.redrive(letter_id, components.projectors.fed, by="me").result == "redriven"
    assert balance(components, phantom.aggregate_id) == (2, Decimal(2))


@pytest.mark.parametrize("name", ["MODIFY", "REMOVE"])
def test_tampering_halts_the_account_in_every_projection(
    name: str, components: Components, handler: BatchHandler
) -> None:
    account = deposit(components.store, count=3)
    tampered = change_record(account[0], components.names.events, name=name)
    deliver(handler, components, *account, tampered)
    for projection in PROJECTIONS:
        row = head_of(components, projection.name, account[0].aggregate_id)
        assert row.version == 3
        assert row.halted is not None
        assert f"a {name} of an event" in row.halted.reason
    (letter_id,) = letters(components)
    assert components.redrive.redrive(letter_id, components.projectors.fed, by="me").result == "redriven"
    assert balance(components, account[0].aggregate_id) == (3, Decimal(3))


def test_a_record_without_an_account_is_stored_and_halts_nobody(components: Components, handler: BatchHandler) -> None:
    account = deposit(components.store)
    delivered = deliver(handler, components, b"\x00garbage", *account)
    (letter,) = letters(components).values()
    number = delivered.records[0].sequence_number
    assert letter.id == f"stream~shardId-000000000000~{number}"
    assert letter.letter.raw == b"\x00garbage"
    assert balance(components, account[0].aggregate_id) == (1, Decimal(1))
    assert components.redrive.redrive(letter.id, components.projectors.fed, by="me").result == "still unusable"
    assert components.redrive.skip(letter.id, components.projectors.fed, by="me", why="noise").result == "skipped"


def test_a_record_too_large_for_an_item_is_stored_cut_with_its_length_and_place(
    components: Components, handler: BatchHandler
) -> None:
    deliver(handler, components, b"x" * 1_000_000)
    (letter,) = letters(components).values()
    assert (len(letter.letter.raw), letter.raw_length, letter.to_json()["rawCut"]) == (MAX_RAW, 1_000_000, True)
    assert "stream stream, shard shardId-000000000000, record" in str(letter.letter.origin)


def test_with_the_dead_letters_unreachable_nothing_is_completed_and_nothing_is_lost(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    account = deposit(components.store)
    bad = poison(clients.dynamodb, components.names.events, account[0])
    reachable = threading.Event()

    def refuse(params: dict[str, Any], **_: object) -> None:
        if params["TableName"] == components.names.dead_letters and not reachable.is_set():
            raise EndpointConnectionError(endpoint_url="http://example.invalid")

    clients.dynamodb.meta.events.register("provide-client-params.dynamodb.UpdateItem", refuse)
    delivered = batch(components.names.events, *account, bad)

    async def run() -> None:
        handling = asyncio.create_task(handler.handle([delivered]))
        await asyncio.sleep(1.5)
        assert not delivered.completed
        assert handler.fault is not None
        assert head(components, bad.aggregate_id).halted is None, "a halt without a letter would hide its reason"
        reachable.set()
        await asyncio.wait_for(handling, 30)

    asyncio.run(run())
    assert delivered.completed
    assert handler.fault is None
    assert len(letters(components)) == len(PROJECTIONS)


def test_a_storm_stops_the_worker_before_it_halts_everybody(
    clients: Clients, components: Components, projector_settings: ProjectorSettings, executor: ThreadPoolExecutor
) -> None:
    strict = build_components(projector_settings.model_copy(update={"storm_limit": 3}), clients, executor)
    handler = strict.batch_handler()
    poisons = [poison(clients.dynamodb, components.names.events, deposit(components.store)[0]) for _ in range(8)]
    delivered = batch(components.names.events, *poisons)
    with pytest.raises(StormError, match="looks like a bad deploy"):
        asyncio.run(handler.handle([delivered]))
    assert not delivered.completed
    halted = [
        head(components, event.aggregate_id).halted for event in poisons if _has_head(components, event.aggregate_id)
    ]
    assert sum(halt is not None for halt in halted) <= 4


def _has_head(components: Components, account_id: str) -> bool:
    return components.models.active(BALANCE_SUMMARY).get(account_id) is not None


def test_a_mended_account_is_not_halted_by_a_letter_that_comes_late(
    components: Components, clients: Clients, handler: BatchHandler, make_clients: Callable[[], Clients]
) -> None:
    """Two versions at work: the old one cannot read an event that the new one has applied already."""
    account = deposit(components.store, count=2)
    deliver(handler, components, *account)
    stale = poison(clients.dynamodb, components.names.events, account[-1])
    correct(clients, components.names, stale)
    deliver(handler, components, structs.replace(stale, payload=READABLE))
    assert balance(components, stale.aggregate_id) == (3, Decimal(12))
    deliver(handler, components, stale)
    assert balance(components, stale.aggregate_id) == (3, Decimal(12))


def test_one_poisoned_account_among_many_costs_the_others_nothing(
    components: Components, clients: Clients, handler: BatchHandler
) -> None:
    accounts = [deposit(components.store) for _ in range(200)]
    bad = poison(clients.dynamodb, components.names.events, accounts[100][0])
    deliver(handler, components, bad, *(event for events in accounts for event in events))
    second = {events[0].aggregate_id: deposit(components.store, events[0].aggregate_id, 1) for events in accounts[:40]}
    waiting = deposit(components.store, bad.aggregate_id, 1)
    deliver(handler, components, *waiting, *(event for events in second.values() for event in events))
    for events in accounts:
        account_id = events[0].aggregate_id
        if account_id != bad.aggregate_id:
            assert balance(components, account_id)[0] == (2 if account_id in second else 1)
    assert head(components, bad.aggregate_id).version == 1


def test_an_account_is_halted_in_the_oldest_generation_first(
    components: Components, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker's event may come in between: it must not get further in the old one than in the new one."""
    (event,) = deposit(components.store)
    tables: list[str] = []
    halt = ReadModel.halt

    def halting(model: ReadModel[Any], *args: Any) -> bool:
        tables.append(model.table)
        return halt(model, *args)

    monkeypatch.setattr(ReadModel, "halt", halting)
    builds = BuildStore(components.clients.dynamodb, components.names.projections)
    ensure_table(components.clients.dynamodb, table_spec(BALANCE_SUMMARY, components.names.profile, 2))
    builds.start(BALANCE_SUMMARY.name, 2, "me", active=1, segments=1)
    letter = DeadLetter("a MODIFY of event 1", Origin("stream"), b"", None, event.aggregate_id, 1)
    components.aggregate_halts.store_and_halt(letter, components.new_projectors(), overtaken=False)
    generations = [BALANCE_SUMMARY.table(components.names.profile, number) for number in (1, 2)]
    assert [table for table in tables if table in generations] == generations
