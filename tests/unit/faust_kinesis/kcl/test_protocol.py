"""The MultiLang protocol's lines, read and written."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faust_kinesis.errors import DaemonError
from faust_kinesis.kcl import protocol
from faust_kinesis.records import Record


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (
            line(action="initialize", shardId="s-0", sequenceNumber="TRIM_HORIZON", subSequenceNumber=0),
            protocol.Initialize("s-0", "TRIM_HORIZON", 0),
        ),
        (
            line(action="initialize", shardId="s-0", sequenceNumber="7", subSequenceNumber=3),
            protocol.Initialize("s-0", "7", 3),
        ),
        (line(action="processRecords", records=[], millisBehindLatest=None), protocol.ProcessRecords((), None)),
        (line(action="leaseLost"), protocol.LeaseEvent.LOST),
        (line(action="shardEnded"), protocol.LeaseEvent.SHARD_ENDED),
        (line(action="shutdownRequested"), protocol.LeaseEvent.SHUTDOWN_REQUESTED),
        (line(action="checkpoint", sequenceNumber="7", error=None), protocol.CheckpointAck("7", None)),
        (
            line(action="checkpoint", sequenceNumber="7", error="ShutdownException"),
            protocol.CheckpointAck("7", "ShutdownException"),
        ),
    ],
)
def test_every_message_is_read(sent: bytes, message: protocol.Message) -> None:
    assert protocol.parse(sent) == message


@given(st.binary(), st.text(), st.integers(0, 4_000_000_000_000), st.integers(0, 9))
def test_a_record_comes_out_as_it_went_in(data: bytes, key: str, millis: int, sub: int) -> None:
    sent = {
        "action": "record",
        "data": base64.b64encode(data).decode(),
        "partitionKey": key,
        "sequenceNumber": "49",
        "subSequenceNumber": sub,
        "approximateArrivalTimestamp": millis,
    }
    read = protocol.parse(line(action="processRecords", records=[sent], millisBehindLatest=5))
    assert isinstance(read, protocol.ProcessRecords)
    assert read.records == (Record(data, key, "49", datetime.fromtimestamp(millis / 1000, UTC), sub),)
    assert read.millis_behind_latest == 5


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"secret\n",
        b"[]\n",
        b'"secret"\n',
        b"{}\n",
        line(action="status", responseFor="secret"),
        line(action="processRecords"),
        line(action="processRecords", records=[{"data": "secret"}]),
        line(action="processRecords", records="secret"),
        line(action="initialize"),
    ],
)
def test_what_is_no_message_is_refused_and_not_repeated(sent: bytes) -> None:
    with pytest.raises(DaemonError) as refused:
        protocol.parse(sent)
    assert "secret" not in str(refused.value)


def test_an_answer_is_one_line() -> None:
    assert json.loads(protocol.status("initialize")) == {"action": "status", "responseFor": "initialize"}
    asked = protocol.checkpoint("49", 2)
    assert asked.count(b"\n") == 1
    assert asked.endswith(b"\n")
    assert json.loads(asked) == {"action": "checkpoint", "sequenceNumber": "49", "subSequenceNumber": 2}
