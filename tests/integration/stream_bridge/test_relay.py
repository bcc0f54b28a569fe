"""The relay in this process, on the real endpoint: what PutRecords refuses, what is no event, who takes over."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
import pytest

from kinfold.demo.raw_stream import order_violations, read_raw, streamed_aggregates
from kinfold.local.embedded_aws import REGION
from kinfold.tables import service_specs
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from stream_bridge.provisioning import bridge
from stream_bridge.relay import daemon, lookback, sender
from stream_bridge.relay.backlog import oldest_change
from stream_bridge.relay.daemon import build_relay
from stream_bridge.relay.health import RelayHealth, Role
from stream_bridge.relay.inspection import look
from stream_bridge.relay.ordering import SentVersions
from stream_bridge.settings import RelaySettings
from tests.support.accounts import deposit
from tests.support.aws.tables import made_bridge
from tests.support.ledger_load import LedgerLoad
from tests.support.waiting import eventually, until

pytestmark = pytest.mark.integration


@pytest.fixture
def relay_settings(aws_endpoint: str, profile: str) -> RelaySettings:
    """Those of a relay whose lease no slow endpoint ends, and that no other gets by waiting."""
    return RelaySettings.model_validate(
        {"profile": profile, "endpoint_url": aws_endpoint, "region": REGION, "worker_id": "r", "failover_time": 300}
    )


@pytest.fixture
def store(clients: Clients, names: Names, relay_settings: RelaySettings) -> EventStore:
    """The event store of a bridge of four shards whose records a relay carries."""
    report = made_bridge(clients, names, 4, "relay")
    assert (report.healthy, report.destination) == (True, None)
    return EventStore(clients.dynamodb, names.events)


@asynccontextmanager
async def running(settings: RelaySettings, prompt: Clients | None = None) -> AsyncIterator[RelayHealth]:
    """A relay that runs while the block does, and ends cleanly."""
    health, clients = RelayHealth(), Clients(settings)
    with build_relay(settings, health, clients, prompt or Clients(settings, attempts=1)) as relay:
        task = asyncio.create_task(relay.run())
        try:
            yield health
        finally:
            relay.stop()
            await asyncio.wait_for(task, 30)


async def right(clients: Clients, names: Names, store: EventStore, account_ids: list[str]) -> bool:
    """Whether the raw stream comes to show every event, in order, each account on one shard."""

    def look() -> list[str]:
        return order_violations(
            streamed_aggregates(clients.kinesis, names.stream, names.events),
            {each: store.version(each).number for each in account_ids},
        )

    await asyncio.to_thread(until, look, lambda found: not found)
    return True


class PartialFailures:
    """Refuses some records of every PutRecords call, in the client's event hooks: Kinesis never sees them."""

    def __init__(self, part: float) -> None:
        self._part = part
        self._choose = random.Random(1)
        self._refused: list[bool] = []
        self.refusals = 0

    def install(self, clients: Clients) -> None:
        events = clients.kinesis.meta.events
        events.register("provide-client-params.kinesis.PutRecords", self.take_out)  # type: ignore[arg-type]
        events.register("before-call.kinesis.PutRecords", self.answer_for_none)
        events.register("after-call.kinesis.PutRecords", self.put_back)

    def take_out(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        records = params["Records"]
        count = max(1, round(len(records) * self._part)) if len(records) > 1 else self._choose.random() < self._part
        chosen = set(self._choose.sample(range(len(records)), int(count)))
        self._refused = [number in chosen for number in range(len(records))]
        self.refusals += len(chosen)
        # An empty call is not allowed; `answer_for_none` answers in its place.
        kept = [record for record, refused in zip(records, self._refused, strict=True) if not refused]
        return params | {"Records": kept or records}

    def answer_for_none(self, **_: Any) -> Any:
        if not all(self._refused):
            return None
        return type("Http", (), {"status_code": 200})(), {"Records": [], "ResponseMetadata": {"HTTPStatusCode": 200}}

    def put_back(self, parsed: dict[str, Any], **_: Any) -> None:
        taken = iter(parsed["Records"])
        throttled = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}
        parsed["Records"] = [throttled if refused else next(taken) for refused in self._refused]
        parsed["FailedRecordCount"] = sum(self._refused)


async def test_records_that_putrecords_refuses_are_neither_reordered_nor_lost(
    clients: Clients, names: Names, store: EventStore, relay_settings: RelaySettings
) -> None:
    prompt = Clients(relay_settings, attempts=1)
    failures = PartialFailures(0.3)
    failures.install(prompt)
    with LedgerLoad(clients, names) as load:
        async with running(relay_settings, prompt) as health:
            await eventually(lambda: health.relayed > 150)
            refused = health.registry.get_sample_value("kinfold_relay_put_refusals_total")
    assert failures.refusals >= (refused or 0) > 40
    async with running(relay_settings):
        assert await right(clients, names, store, load.account_ids)


async def test_what_is_no_event_reaches_the_projector_as_the_change_record_that_it_is(
    clients: Clients, names: Names, store: EventStore, relay_settings: RelaySettings
) -> None:
    deposit(store, "mallory")
    (item,) = clients.dynamodb.scan(TableName=names.events)["Items"]
    key = {name: item[name] for name in ("aggregateId", "sequenceNumber")}
    clients.dynamodb.put_item(TableName=names.events, Item=item | {"note": {"B": b"\x00\xff"}})
    clients.dynamodb.delete_item(TableName=names.events, Key=key)
    clients.dynamodb.put_item(TableName=names.events, Item=key | {"sequenceNumber": {"N": "2"}})
    async with running(relay_settings) as health:
        await eventually(lambda: health.relayed == 4)
    raw = read_raw(clients.kinesis, names.stream)
    records = [orjson.loads(data) for _, data in raw]
    assert len({shard for shard, _ in raw}) == 1
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE", "INSERT"]
    assert {record["tableName"] for record in records} == {names.events}
    assert records[1]["dynamodb"]["NewImage"]["note"] == {"B": "AP8="}
    assert all(record["dynamodb"]["Keys"]["aggregateId"] == {"S": "mallory"} for record in records)
    assert all(record["dynamodb"]["ApproximateCreationDateTime"] > 10**15 for record in records)


async def test_a_clean_stop_checkpoints_and_the_next_relay_begins_at_once_after_it(
    clients: Clients, names: Names, store: EventStore, relay_settings: RelaySettings
) -> None:
    deposit(store, "alice", 3)
    deposit(store, "alice")
    other = relay_settings.model_copy(update={"worker_id": "other"})
    async with running(relay_settings) as health:
        await eventually(lambda: health.relayed == 4)
        async with running(other) as second:
            await eventually(lambda: second.role is Role.STANDBY)
            assert (second.holder, second.ready().reason) == ("r", None)
    async with running(other) as third:
        deposit(store, "alice")
        await eventually(lambda: third.relayed == 1)
        assert third.role is Role.ACTIVE
    assert third.relayed == 1, "everything before was checkpointed"
    assert await right(clients, names, store, ["alice"])


async def test_status_reports_who_relays_and_how_late_it_is(
    clients: Clients, names: Names, store: EventStore, relay_settings: RelaySettings
) -> None:
    def status(within: float) -> bridge.BridgeReport:
        return bridge.status(clients, names, service_specs(names), relay=partial(look, clients, names, within))

    def caught_up(report: bridge.BridgeReport) -> bool:
        return report.relay is not None and report.relay.lag_seconds == 0

    deposit(store, "alice")
    report = await asyncio.to_thread(until, lambda: status(1), lambda seen: not caught_up(seen))
    assert report.relay is not None
    assert (report.healthy, report.relay.holder) == (False, None)
    renewed_soon = relay_settings.model_copy(update={"failover_time": 10})
    async with running(renewed_soon) as health:
        await eventually(lambda: health.relayed == 1)
        report = await asyncio.to_thread(until, lambda: status(10), lambda seen: caught_up(seen) and seen.healthy)
        assert report.relay is not None
        assert report.relay.holder == "r"


async def test_an_account_that_a_long_term_has_forgotten_is_not_put_again_from_the_terms_beginning(
    clients: Clients, names: Names, store: EventStore, relay_settings: RelaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[datetime | None] = []

    def looking(*args: Any) -> datetime | None:
        looked.append(oldest_change(*args))
        return looked[-1]

    for name, value in {"SYNC_INTERVAL": 0.1, "LOOK_INTERVAL": 0.0, "oldest_change": looking}.items():
        monkeypatch.setattr(daemon, name, value)
    monkeypatch.setattr(lookback, "CLOCKS", timedelta(0))
    monkeypatch.setattr(sender, "SentVersions", partial(SentVersions, 1))
    async with running(relay_settings) as health:
        await eventually(lambda: len(looked) > 0)
        deposit(store, "alice", 3)
        deposit(store, "bob")
        await eventually(lambda: health.relayed == 4)
        looked.clear()
        await eventually(lambda: looked[-4:] == [None] * 4)  # all of them are checkpointed
        deposit(store, "alice")
        await eventually(lambda: health.relayed == 5)
    assert len(read_raw(clients.kinesis, names.stream)) == 5
