import pytest

from ledger.store.errors import VersionConflictError
from writer.commands.preconditions import MalformedPreconditionError, Precondition, etag, unchanged


def test_no_if_match_allows_every_version() -> None:
    assert [Precondition.parse(None).holds(version) for version in (0, 1, 7)] == [True, True, True]


@pytest.mark.parametrize("header", ['"7"', ' "7" '])
def test_a_version_allows_itself_alone(header: str) -> None:
    assert [Precondition.parse(header).holds(version) for version in (0, 6, 7, 8)] == [False, False, True, False]


def test_version_0_asks_for_a_new_account() -> None:
    assert Precondition.parse(etag(0)).holds(0)
    assert not Precondition.parse(etag(0)).holds(1)


def test_a_star_allows_every_account_that_exists() -> None:
    assert [Precondition.parse("*").holds(version) for version in (0, 1, 7)] == [False, True, True]


@pytest.mark.parametrize(
    "header",
    ["", "7", "'7'", 'W/"7"', '"7', '"07"', '"-1"', '"abc"', '""', '"7", "8"', "**", '"' + "9" * 16 + '"', '"\u0667"'],
)
def test_anything_else_is_malformed(header: str) -> None:
    with pytest.raises(MalformedPreconditionError, match='such as "7"'):
        Precondition.parse(header)


@pytest.mark.parametrize(
    ("header", "actual", "expected", "conflicting"), [('"7"', 3, 7, 4), ('"3"', 7, 3, 4), ("*", 0, 1, 1)]
)
def test_a_precondition_that_does_not_hold_is_a_conflict(
    header: str, actual: int, expected: int, conflicting: int
) -> None:
    with pytest.raises(VersionConflictError) as error:
        Precondition.parse(header).require("alice", actual)
    assert (error.value.expected, error.value.actual, error.value.conflicting) == (expected, actual, conflicting)


@pytest.mark.parametrize(
    ("header", "same"),
    [(None, False), ('"7"', True), ('W/"7"', True), ('"6", "7"', True), ("*", True), ('"6"', False), ("7", False)],
)
def test_if_none_match_compares_weakly(header: str | None, same: bool) -> None:
    assert unchanged(header, 7) is same
