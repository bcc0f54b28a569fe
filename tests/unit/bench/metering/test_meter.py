"""What a contender uses is counted from what the SDK says, and from nothing else."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from bench.alone.fake_aws import Body
from bench.metering.meter import Meter, TreeWatch
from simulation.aws.tables.values import item_size, query_units

Answer = tuple[int, dict[str, Any]]


@pytest.fixture
def client() -> Callable[..., Any]:
    """A real client of the SDK; ``answers`` by operation stand for the network."""

    def make(service: str, **answers: Answer) -> Any:
        make_client: Any = boto3.client
        made = make_client(service, "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        for operation, (status, body) in answers.items():

            def respond(request: Any, status: int = status, body: dict[str, Any] = body, **_: Any) -> AWSResponse:
                return AWSResponse(request.url, status, HTTPHeaders(), Body(orjson.dumps(body)))

            made.meta.events.register(f"before-send.{service}.{operation}", respond)
        return made

    return make


def records(client: Callable[..., Any], meter: Meter, count: int) -> None:
    one = {"Data": "eA==", "PartitionKey": "k", "SequenceNumber": "1"}
    answer = {"Records": [one] * count, "NextShardIterator": "i", "MillisBehindLatest": 0}
    kinesis = client("kinesis", GetRecords=(200, answer))
    meter.watch(kinesis)
    kinesis.get_records(ShardIterator="i")


def test_units_calls_and_refusals_are_counted_by_table(client: Callable[..., Any], tmp_path: Path) -> None:
    meter = Meter()
    one = {"TableName": "rows", "CapacityUnits": 1.0}
    dynamodb = client(
        "dynamodb",
        UpdateItem=(200, {"ConsumedCapacity": one}),
        TransactWriteItems=(200, {"ConsumedCapacity": [one | {"CapacityUnits": 2.0}, one | {"TableName": "marks"}]}),
        BatchGetItem=(200, {"Responses": {"rows": []}, "ConsumedCapacity": [one | {"CapacityUnits": 0.0}]}),
        Query=(200, {"Items": [{"a": {"S": "x" * 9000}}], "ConsumedCapacity": one | {"TableName": "events"}}),
        PutItem=(400, {"__type": "ConditionalCheckFailedException"}),
    )
    meter.watch(dynamodb)
    key = {"a": {"S": "1"}}
    dynamodb.update_item(TableName="rows", Key=key)
    records(client, meter, 3)  # what came before the first records does not count
    dynamodb.update_item(TableName="rows", Key=key)
    dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "rows", "Item": key}}])
    keys = [{"a": {"S": str(number)}} for number in range(7)]
    dynamodb.batch_get_item(RequestItems={"rows": {"Keys": keys, "ConsistentRead": True}})
    dynamodb.query(TableName="events", KeyConditionExpression="a = :a", ConsistentRead=True)
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(TableName="rows", Item=key)
    meter.write_report(tmp_path / "report.json", handled=3)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["write_units"] == {"rows": 3.0, "marks": 1.0}
    # AWS charges for each key asked for, whether or not there is an item; and 9,001 bytes are three times 4 KB.
    assert report["read_units"] == {"rows": 7.0, "events": 3.0}
    assert report["calls"] == {
        "GetRecords": 1,
        "UpdateItem": 1,
        "TransactWriteItems": 1,
        "BatchGetItem": 1,
        "Query": 1,
        "PutItem": 1,
    }
    assert report["refused"] == {"ConditionalCheckFailedException": 1}
    assert (report["records"], report["handled"]) == (3, 3)
    assert 0 < report["cpu_seconds"] < 60
    assert 0 < report["seconds"] < 60
    assert report["peak_mb"] > 10


def test_an_effect_is_a_write_to_one_of_the_meters_tables(client: Callable[..., Any]) -> None:
    meter = Meter("rows")
    records(client, meter, 1)
    other = client("dynamodb", UpdateItem=(200, {"ConsumedCapacity": {"TableName": "leases", "CapacityUnits": 1.0}}))
    meter.watch(other)
    other.update_item(TableName="leases", Key={"a": {"S": "1"}})
    with pytest.raises(RuntimeError, match="nothing was measured"):
        meter.report()
    meter.effect()
    assert meter.report()["write_units"] == {"leases": 1.0}


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"aggregateId": {"S": "alice"}}, 16),
        ({"n": {"N": "12345"}}, 5),  # three bytes for five digits, one more, and the name
        ({"ä": {"S": "ö"}}, 4),
        ({"m": {"M": {"a": {"BOOL": True}}}}, 7),
    ],
)
def test_the_size_of_an_item(item: Any, size: int) -> None:
    assert item_size(item) == size


def test_a_page_is_rounded_up_as_a_whole() -> None:
    half = {"a": {"S": "x" * 2047}}
    assert query_units([half, half], consistent=True) == 1
    assert query_units([half, half, half], consistent=True) == 2
    assert query_units([half, half, half], consistent=False) == 1
    assert query_units([], consistent=True) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_tree_is_a_process_with_its_descendants() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    command = [sys.executable, "-c", parent]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ))
    with process:
        watch = TreeWatch(process.pid)
        began = time.perf_counter()
        watch.look()
        assert process.stdout is not None
        process.stdout.readline()
        watch.look()
        process.stdin.write(b"\n") if process.stdin else None
        process.communicate()
    assert 0.45 <= watch.cpu_between(began, time.perf_counter()) < 2
    assert watch.peak_mb > 10
