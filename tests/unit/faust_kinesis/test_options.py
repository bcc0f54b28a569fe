from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError
from yarl import URL

from faust_kinesis.errors import ConfigurationError
from faust_kinesis.options import KinesisOptions, options_from_url


def test_url_gives_options_and_the_app_its_id() -> None:
    options = options_from_url(URL("kinesis://?start=latest&batch_size=50&worker_id=w7"), "the-app")
    assert (options.application, options.worker_id, options.start, options.batch_size) == (
        "the-app",
        "w7",
        "latest",
        50,
    )


def test_a_moment_is_taken_in_utc() -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    start = KinesisOptions(application="app", worker_id="w", start=moment).start
    assert start == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert isinstance(start, datetime)
    assert start.tzinfo is UTC
    assert options_from_url(URL("kinesis://?start=2026-01-01T10:00:00Z"), "the-app").start == start


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        KinesisOptions(application="app", worker_id="w", start=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "query",
    [
        "batch_size=10001",
        "start=yesterday",
        "start=2026",
        "start=0001-01-01T00:00:00%2B14:00",
        "start=2999-01-01T00:00:00Z",
        "start=latest&start=trim-horizon",
        "batchsize=1",
        "poll_interval=0",
        "kcl_properties=a=1,a=2",
        'kcl_properties={"a":1,"a":2}',
    ],
)
def test_a_bad_url_names_the_option(query: str) -> None:
    with pytest.raises(ConfigurationError, match=query.split("=")[0]):
        options_from_url(URL(f"kinesis://?{query}"), "the-app")
