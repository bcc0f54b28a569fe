"""One strict reader of moments: RFC 3339 and nothing near it."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_client.moments import EARLIEST, parse_moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T06:00Z", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("2026-01-31T06:00:01Z", datetime(2026, 1, 31, 6, 0, 1, tzinfo=UTC)),
        ("2026-01-31t06:00:01z", datetime(2026, 1, 31, 6, 0, 1, tzinfo=UTC)),
        ("2026-01-31T06:00:00.5+02:00", datetime(2026, 1, 31, 4, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31T06:00:00.123456789-00:00", datetime(2026, 1, 31, 6, 0, 0, 123_456, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", EARLIEST),
        ("1969-12-31T10:00:00-14:00", EARLIEST),
        ("9999-12-31T23:59:59.999999Z", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_in_utc(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment
    assert parse_moment(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no ISO 8601 time"),
        ("yesterday", "is no ISO 8601 time"),
        ("2026", "is no ISO 8601 time"),
        ("1767225600", "is no ISO 8601 time"),
        ("-1", "is no ISO 8601 time"),
        ("2026-01-31", "is no ISO 8601 time"),
        ("20260131T060000Z", "is no ISO 8601 time"),
        ("2026-W05-6T06:00Z", "is no ISO 8601 time"),
        ("2026-01-31 06:00Z", "is no ISO 8601 time"),
        ("2026-01-31T06Z", "is no ISO 8601 time"),
        ("2026-01-31T06:00:00,5Z", "is no ISO 8601 time"),
        ("2026-01-31T06:00+0200", "is no ISO 8601 time"),
        ("2026-01-31T06:00 02:00", "is no ISO 8601 time"),
        (" 2026-01-31T06:00Z", "is no ISO 8601 time"),
        ("2026-01-31T06:00Z\n", "is no ISO 8601 time"),
        ("\u0662026-01-31T06:00Z", "is no ISO 8601 time"),
        ("2026-02-30T06:00Z", "is no ISO 8601 time"),
        ("2026-01-31T24:01Z", "is no ISO 8601 time"),
        ("2026-01-31T06:00+24:00", "is no ISO 8601 time"),
        ("2026-01-31T06:00", "has no zone"),
        ("0001-01-01T00:00:00+14:00", "1970"),
        ("9999-12-31T23:59:59-14:00", "1970"),
        ("1969-12-31T23:59:59Z", "1970"),
        ("1970-01-01T00:00:00+00:01", "1970"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_moment(text)


def test_what_is_refused_is_not_repeated_at_length() -> None:
    with pytest.raises(ValueError) as error:
        parse_moment("x" * 10_000)
    assert len(str(error.value)) < 200


@given(st.datetimes(), st.integers(-23 * 60, 23 * 60))
def test_every_moment_that_can_be_written_is_read_or_refused(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    try:
        expected: datetime | None = moment.astimezone(UTC)
    except OverflowError:
        expected = None
    if expected is None or expected < EARLIEST:
        with pytest.raises(ValueError, match="1970"):
            parse_moment(moment.isoformat())
    else:
        assert parse_moment(moment.isoformat()) == expected


@given(st.text(max_size=40))
def test_no_text_is_met_with_another_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_moment(text) >= EARLIEST
