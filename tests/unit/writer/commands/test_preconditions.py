import pytest

from ledger.runtime.problems import ProblemError
from ledger.store.errors import VersionConflictError
from writer.commands.preconditions import Precondition, etag


def test_no_if_match_allows_every_version() -> None:
    assert [Precondition.parse(None).holds(version) for version in (0, 1, 7)] == [True, True, True]


def test_a_version_allows_itself_alone() -> None:
    assert [Precondition.parse('"7"').holds(version) for version in (0, 6, 7, 8)] == [False, False, True, False]


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
    with pytest.raises(ProblemError, match='such as "7"'):
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
    ("header", "holding"),
    [
        ("*", [True, False, False, False]),
        ('"7"', [True, True, False, True]),
        ('W/"7"', [True, True, False, True]),
        ('"1", "7"', [True, False, False, True]),
        ('"x", "07"', [True, True, True, True]),
    ],
)
def test_if_none_match_excludes_versions_and_never_a_new_account(header: str, holding: list[bool]) -> None:
    assert [Precondition.parse(None, header).holds(version) for version in (0, 1, 7, 8)] == holding


def test_both_conditions_have_to_hold() -> None:
    both = Precondition.parse('"7"', '"7"')
    assert not any(both.holds(version) for version in range(10))
    assert Precondition.parse('"7"', '"6"').holds(7)
    assert not Precondition.parse("*", "*").holds(1)


@pytest.mark.parametrize("header", ["", "7", '"7', '"7",', ",", '*, "7"', '"7" "8"', 'w/"7"', '"\u0667"'])
def test_an_if_none_match_that_is_none_is_malformed(header: str) -> None:
    with pytest.raises(ProblemError, match="If-None-Match"):
        Precondition.parse(None, header)
