"""The embedded AWS with a folder: tables, their streams and the Kinesis stream go on after a stop, and after a kill."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from kinfold.demo.raw_stream import read_raw
from kinfold.local.embedded_aws import REGION, LocalAws
from kinfold.local.kept.data_dir import DataInUseError, held
from kinfold.tables import all_specs
from ledger.errors import EndpointError
from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from ledger.store.change_record import decode
from ledger.store.event_store import EventStore
from ledger.store.table_identity import TableIdentities
from ledger.store.tables import Names
from stream_bridge.dynamodb_stream import describe_stream
from stream_bridge.provisioning import bridge
from tests.support.accounts import deposit
from tests.support.aws.tables import made_bridge
from tests.support.waiting import until

pytestmark = pytest.mark.integration

NAMES = Names("kept")


@dataclass
class Kept:
    aws: LocalAws
    clients: Clients

    @property
    def store(self) -> EventStore:
        return EventStore(self.clients.dynamodb, NAMES.events)

    def table_stream(self, after: str | None = None) -> list[dict[str, Any]]:
        """The records of the table's stream, all of them or those after a sequence number."""
        streams = self.clients.dynamodbstreams
        stream = describe_stream(self.clients.dynamodb, streams, NAMES.events)
        (shard,) = stream.shards
        place: Any = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            place = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        iterator = streams.get_shard_iterator(StreamArn=stream.arn, ShardId=shard, **place)["ShardIterator"]
        return [dict(each["dynamodb"]) for each in streams.get_records(ShardIterator=iterator)["Records"]]

    def streamed(self) -> list[tuple[str, int]]:
        """What the Kinesis stream shows."""
        events = [decode(data, NAMES.events) for _, data in read_raw(self.clients.kinesis, NAMES.stream)]
        return sorted((event.aggregate_id, event.sequence_number) for event in events)

    def seen(self) -> Any:
        """All that must be the same after a restart."""
        stream = describe_stream(self.clients.dynamodb, self.clients.dynamodbstreams, NAMES.events)
        return (
            self.store.load("alice").events,
            TableIdentities(self.clients.dynamodb, NAMES).actual(),
            (stream.arn, stream.label),
            self.table_stream(),
            read_raw(self.clients.kinesis, NAMES.stream),
            bridge.status(self.clients, NAMES, all_specs(NAMES)).destination,
        )


@contextmanager
def kept(folder: Path, session: boto3.session.Session) -> Iterator[Kept]:
    with held(folder, print) as data:
        aws = LocalAws(data=data)
        settings = Settings.model_validate({"profile": "kept", "endpoint_url": aws.url, "region": REGION})
        try:
            yield Kept(aws, Clients(settings, session=session))
        finally:
            aws.stop()


def test_everything_goes_on_after_a_restart(tmp_path: Path, aws_session: boto3.session.Session) -> None:
    with kept(tmp_path, aws_session) as first:
        assert made_bridge(first.clients, NAMES, 2).healthy
        for _ in range(5):
            deposit(first.store, "alice")
        before = first.seen()
        assert (len(before[3]), len(before[4])) == (5, 5)
    with kept(tmp_path, aws_session) as second:
        assert second.seen() == before
        deposit(second.store, "alice")
        assert second.streamed() == [("alice", number) for number in range(1, 7)]
        (new,) = second.table_stream(after=before[3][-1]["SequenceNumber"])
        assert new["Keys"]["sequenceNumber"] == {"N": "6"}
        assert new["SequenceNumber"] > before[3][-1]["SequenceNumber"]
    assert not list(tmp_path.glob(".*-*")), "no half a file is left"
    assert (tmp_path / "kinfold-aws.json").stat().st_mode & 0o777 == 0o600


def test_a_kill_costs_the_last_seconds_and_nothing_is_torn_apart(
    tmp_path: Path, aws_session: boto3.session.Session
) -> None:
    with held(tmp_path, print) as data:
        aws = LocalAws(data=data)
        settings = Settings.model_validate({"profile": "kept", "endpoint_url": aws.url, "region": REGION})
        running = Kept(aws, Clients(settings, session=aws_session))
        made_bridge(running.clients, NAMES, 2)
        deposit(running.store, "alice")

        def saved() -> int:
            return data.state.stat().st_mtime_ns if data.state.exists() else 0

        # One that begins after the deposit is the second from now at the latest.
        for _ in range(2):
            before = saved()
            until(saved, before.__lt__)
        deposit(running.store, "alice")
        os.kill(aws.pid, signal.SIGKILL)
        with pytest.raises(Exception, match="without saving"):
            aws.stop()
    with kept(tmp_path, aws_session) as again:
        events = [event.sequence_number for event in again.store.load("alice").events]
        assert events in ([1], [1, 2])
        assert again.streamed() == [("alice", number) for number in events]
        assert [each["Keys"]["sequenceNumber"]["N"] for each in again.table_stream()] == list(map(str, events))
        assert deposit(again.store, "alice")[-1].sequence_number == len(events) + 1


@pytest.mark.parametrize("text", ["", "{", '{"format": 2}', '{"format": 1, "services": {}}', "[]"])
def test_a_state_that_cannot_be_read_is_said_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    with held(tmp_path, print) as data:
        data.state.write_text(text)
        with pytest.raises(EndpointError, match=r"kinfold-aws\.json cannot be read, and is left as it is"):
            LocalAws(data=data)
        assert data.state.read_text() == text


def test_a_save_that_fails_is_told_and_the_next_one_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(tmp_path, print) as data:
        aws = LocalAws(0, data)
        said = ""

        def told() -> bool:
            nonlocal said
            aws.check()
            said += capsys.readouterr().err
            return "its state cannot be saved: " in said and "IsADirectoryError" in said

        try:
            data.state.mkdir()
            until(told)
            assert str(data.state) in said
            data.state.rmdir()
            until(data.state.is_file)
        finally:
            aws.stop()


def test_a_folder_is_for_one_at_a_time(tmp_path: Path) -> None:
    with (
        held(tmp_path, print),
        pytest.raises(DataInUseError, match=f"in use by process {os.getpid()}"),
        held(tmp_path, print),
    ):
        pytest.fail("it was taken twice")
    with held(tmp_path, print):
        pass


def test_a_folder_is_held_for_as_long_as_its_aws_lives(tmp_path: Path) -> None:
    with held(tmp_path, print) as data:
        aws = LocalAws(data=data)
    try:
        with pytest.raises(DataInUseError), held(tmp_path, print):
            pytest.fail("two would write one file")
    finally:
        aws.stop()
    with held(tmp_path, print):
        pass


def test_who_comes_after_a_kill_waits_until_the_state_is_saved(tmp_path: Path) -> None:
    told: list[str] = []
    with held(tmp_path, print) as data:
        # The process that held it is gone; what inherited the lock lives on.
        orphan = os.dup(data.lock)
        os.pwrite(data.lock, b"1 of a process that was killed", 0)
    try:

        def report(line: str) -> None:
            told.append(line)
            os.close(orphan)

        with held(tmp_path, report):
            assert len(told) == 1
            assert "is saving" in told[0]
    finally:
        assert told
