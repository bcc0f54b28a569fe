"""The daemon's properties, and what may be passed through."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from faust_kinesis.kcl.processes.properties import Endpoints, daemon_properties, render
from faust_kinesis.options import OWN_PROPERTIES, KinesisOptions, parse_properties

LOCAL = Endpoints("eu-west-1", "http://127.0.0.1:4566", "http://127.0.0.1:4566")
AWS = Endpoints("eu-west-1", "https://kinesis.eu-west-1.amazonaws.com", "https://dynamodb.eu-west-1.amazonaws.com")


def properties(endpoints: Endpoints = LOCAL, started_at: datetime | None = None, **options: object) -> dict[str, str]:
    every = KinesisOptions.model_validate({"application": "app", "worker_id": "w1", **options})
    return daemon_properties(every, stream="orders", endpoints=endpoints, started_at=started_at)


def test_what_the_options_say_is_told_to_kcl() -> None:
    told = properties(batch_size=7, poll_interval=0.2, failover_time=5, stop_timeout=20, batch_timeout=60)
    assert (told["applicationName"], told["streamName"], told["workerId"]) == ("app", "orders", "w1")
    assert (told["maxRecords"], told["idleTimeBetweenReadsInMillis"]) == ("7", "200")
    assert (told["failoverTimeMillis"], told["shutdownGraceMillis"]) == ("5000", "20000")
    assert told["timeoutInSeconds"] == "120"


def test_the_start_is_a_moment_or_the_oldest_record() -> None:
    assert properties()["initialPositionInStream"] == "TRIM_HORIZON"
    moment = datetime(2024, 1, 1, 12, 0, 0, 900_000, tzinfo=UTC)
    told = properties(started_at=moment)
    assert told["initialPositionInStreamExtended"] == "1704110400"
    assert "initialPositionInStream" not in told


def test_only_an_emulator_is_named_and_goes_without_cloudwatch() -> None:
    assert properties(LOCAL)["kinesisEndpoint"] == "http://127.0.0.1:4566"
    assert properties(LOCAL)["metricsLevel"] == "NONE"
    assert not {"kinesisEndpoint", "dynamoDBEndpoint", "metricsLevel", "disableWorkerMetrics"} & properties(AWS).keys()


def test_every_other_property_passes_through_over_ours() -> None:
    told = properties(kcl_properties="retrievalMode=FANOUT, maxLeasesForWorker=3")
    assert (told["retrievalMode"], told["maxLeasesForWorker"]) == ("FANOUT", "3")


@pytest.mark.parametrize("name", sorted(OWN_PROPERTIES))
def test_those_that_would_break_the_source_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ValidationError, match=OWN_PROPERTIES[name]):
        properties(kcl_properties={name: "x"})


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        (" a = 1 , b=x=y,", {"a": "1", "b": "x=y"}),
        ('{"dimensions": "Operation,ShardId", "n": 5}', {"dimensions": "Operation,ShardId", "n": "5"}),
    ],
)
def test_properties_are_read_from_pairs_or_json(text: str, read: dict[str, str]) -> None:
    assert parse_properties(text) == read


@pytest.mark.parametrize("text", ["retrievalMode", "=FANOUT", "{", "workerId=w2"])
def test_a_slip_is_named(text: str) -> None:
    with pytest.raises(ValueError):
        parse_properties(text)


def test_a_properties_file_is_ascii_and_escaped() -> None:
    text = render({"workerId": "kö\\nig 1", "a b": " lead", "path": "C:\\x", "two": "1\n2", "face": "\U0001f600"})
    assert text.splitlines() == [
        "workerId=k\\u00f6\\\\nig 1",
        "a\\ b=\\ lead",
        "path=C:\\\\x",
        "two=1\\u000a2",
        "face=\\ud83d\\ude00",
    ]
