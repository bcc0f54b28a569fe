import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from kinfold.demo.raw_stream import read_raw
from kinfold.tables import all_specs
from ledger.errors import ConfigurationError
from ledger.holds import Holds
from ledger.runtime.aws import Clients
from ledger.store.tables import Names, ensure_table, store_specs
from stream_bridge.provisioning import bridge
from stream_bridge.provisioning.bridge import BridgeReport
from stream_bridge.provisioning.stream import StreamPlan, describe_stream
from stream_bridge.waiter import StateWaiter
from tests.support.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

pytestmark = pytest.mark.integration


def ensure(clients: Clients, names: Names, shards: int | None = None, stream_arn: str | None = None) -> BridgeReport:
    return bridge.ensure(
        clients,
        names,
        all_specs(names),
        StreamPlan(shards),
        StateWaiter(60, lambda line: None),
        stream_arn=stream_arn,
        region="us-east-1",
    )


def read_all(kinesis: "KinesisClient", stream: str) -> list[dict[str, Any]]:
    return [json.loads(data) for _, data in read_raw(kinesis, stream)]


def append(clients: Clients, names: Names, sequence_number: int) -> None:
    item = {"aggregateId": {"S": "alice"}, "sequenceNumber": {"N": str(sequence_number)}}
    clients.dynamodb.put_item(TableName=names.events, Item=item)


def wait_for_records(clients: Clients, names: Names, count: int) -> list[dict[str, Any]]:
    return until(lambda: read_all(clients.kinesis, names.stream), lambda records: len(records) >= count)


def test_everything_is_made_and_an_event_reaches_the_stream(clients: Clients, names: Names) -> None:
    report = ensure(clients, names, shards=2)
    assert report.healthy
    assert set(report.created) == {f"table {spec.name}" for spec in all_specs(names)} | {f"stream {names.stream}"}
    assert report.stream is not None
    assert report.stream.shards == 2
    append(clients, names, 1)
    (record,) = wait_for_records(clients, names, 1)
    assert record["eventName"] == "INSERT"
    assert record["dynamodb"]["NewImage"]["aggregateId"] == {"S": "alice"}


def test_the_second_run_changes_nothing(clients: Clients, names: Names) -> None:
    first = ensure(clients, names)
    second = ensure(clients, names)
    assert second.created == []
    assert (second.stream, second.destination) == (first.stream, first.destination)
    assert second.warnings == []


def test_runs_at_the_same_time_end_well_and_one_creates_each_thing(clients: Clients, names: Names) -> None:
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: ensure(clients, names, shards=2), range(4)))
    assert all(report.healthy for report in reports)
    created = [name for report in reports for name in report.created]
    assert len(created) == len(set(created))


def test_a_disabled_destination_is_enabled_again(clients: Clients, names: Names) -> None:
    arn = ensure(clients, names).stream.arn  # type: ignore[union-attr]
    clients.dynamodb.disable_kinesis_streaming_destination(TableName=names.events, StreamArn=arn)
    assert not bridge.status(clients, names, all_specs(names)).healthy
    report = ensure(clients, names)
    assert report.healthy
    assert "events of that outage" in report.warnings[0]
    append(clients, names, 1)
    assert len(wait_for_records(clients, names, 1)) == 1


def test_another_shard_count_is_said_and_not_changed(clients: Clients, names: Names) -> None:
    ensure(clients, names, shards=1)
    report = ensure(clients, names, shards=3)
    assert report.stream is not None
    assert report.stream.shards == 1
    assert "bridge scale --shards 3" in report.warnings[0]


def test_a_stream_elsewhere_is_refused_before_anything_is_made(clients: Clients, names: Names) -> None:
    account = clients.sts.get_caller_identity()["Account"]
    elsewhere = f"arn:aws:kinesis:eu-west-1:{account}:stream/{names.stream}"
    with pytest.raises(ConfigurationError, match="region eu-west-1"):
        ensure(clients, names, stream_arn=elsewhere)
    assert set(bridge.status(clients, names, all_specs(names)).tables.values()) == {bridge.MISSING}
    here = f"arn:aws:kinesis:us-east-1:{account}:stream/{names.stream}"
    assert ensure(clients, names, stream_arn=here).healthy


def test_status_names_what_is_missing_and_creates_nothing(clients: Clients, names: Names) -> None:
    report = bridge.status(clients, names, all_specs(names))
    assert not report.healthy
    assert (report.stream, report.destination) == (None, None)
    ensure_table(clients.dynamodb, store_specs(names)[0])
    report = bridge.status(clients, names, all_specs(names))
    assert report.tables[names.events] == "ACTIVE"
    assert not report.healthy
    assert json.loads(json.dumps(report.to_json()))["healthy"] is False


def test_a_hold_is_shown_and_no_advice_is_against_it(child_env: dict[str, str], clients: Clients, names: Names) -> None:
    ensure(clients, names)
    clients.kinesis.delete_stream(StreamName=names.stream)
    until(lambda: describe_stream(clients.kinesis, names.stream) is None)
    command = [sys.executable, "-m", "kinfold", "bridge", "status", "--sample", "0"]

    def shown() -> str:
        return subprocess.run(command, env=child_env, capture_output=True, text=True, check=False).stdout

    assert "`kinfold bridge ensure` creates it" in shown()
    held = Holds(clients.dynamodb, names.bridge).set("eve@host", "moving to another key")
    assert f"warning: the watch is {held}; it repairs nothing until `kinfold bridge hold --lift`" in shown()
    assert "bridge ensure" not in shown()
    assert bridge.status(clients, names, all_specs(names)).hold == held


def test_the_front_door_has_the_tables_of_every_service_made(child_env: dict[str, str], names: Names) -> None:
    command = [sys.executable, "-m", "kinfold", "bridge"]
    for arguments in (["ensure", "--json"], ["status", "--sample", "0", "--json"]):
        answer = subprocess.run([*command, *arguments], env=child_env, capture_output=True, text=True, check=True)
        assert json.loads(answer.stdout)["tables"] == {spec.name: "ACTIVE" for spec in all_specs(names)}
