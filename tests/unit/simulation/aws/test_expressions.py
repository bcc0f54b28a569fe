"""Conditions, updates, projections and key conditions mean what AWS documents."""

from typing import Any

import pytest

from simulation.aws.errors import AwsError, NotModelledError
from simulation.aws.tables.expressions.conditions import condition
from simulation.aws.tables.expressions.key_conditions import KeyRange, key_condition
from simulation.aws.tables.expressions.partiql import Statement, parse
from simulation.aws.tables.expressions.projections import project, projection
from simulation.aws.tables.expressions.updates import update
from simulation.aws.tables.values import canonical, item_size, number, stored

ITEM: dict[str, Any] = {
    "id": {"S": "alice"},
    "version": {"N": "7"},
    "name": {"S": "ab"},
    "halted": {"M": {"at": {"S": "now"}, "deep": {"M": {"x": {"N": "1"}}}}},
    "tags": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "active": {"BOOL": True},
}
NAMES = {"#name": "name", "#at": "at"}
VALUES: dict[str, Any] = {
    ":six": {"N": "6"},
    ":seven": {"N": "7.0"},
    ":eight": {"N": "8"},
    ":a": {"S": "a"},
    ":tags": {"SS": ["b", "c"]},
    ":numbers": {"NS": ["2.0", "3"]},
}


def holds(text: str) -> bool:
    return condition(text).holds(ITEM, NAMES, VALUES)


@pytest.mark.parametrize(
    "text",
    [
        "version = :seven",
        "version > :six",
        "version BETWEEN :six AND :seven",
        "attribute_exists(halted.#at)",
        "attribute_not_exists(halted.absent)",
        "attribute_not_exists(version.x)",
        "begins_with(#name, :a)",
        "absent <> :six",
        "NOT version < :six AND #name > :a",
        "version = :six OR version = :seven AND attribute_exists(id)",
        "not (version = :six or version = :eight)",
    ],
)
def test_a_condition_that_holds(text: str) -> None:
    assert holds(text)
    assert not holds(f"NOT ({text})")


@pytest.mark.parametrize(
    "text", ["absent = :six", "absent < :six", "absent = absent2", "#name < :six", "active < version", "tags = :tags"]
)
def test_a_condition_that_does_not_hold(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version =",
        "version = :six version",
        "name = :a",
        "size_of(version)",
        "ATTRIBUTE_EXISTS(version)",
        "attribute_exists(:six)",
        "((version = :six))",
        "version BETWEEN :seven AND :six",
        "begins_with(version, :six)",
        "version < :tags",
        "version = version",
    ],
)
def test_a_condition_that_aws_refuses(text: str) -> None:
    with pytest.raises(AwsError, match="ValidationException"):
        holds(text)


@pytest.mark.parametrize("text", ["version IN (:six)", "contains(tags, :a)", "size(tags) = :six", "list[0] = :six"])
def test_what_is_not_modelled_is_refused_loudly(text: str) -> None:
    with pytest.raises(NotModelledError):
        holds(text)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("SET version = version + :six", {"version": {"N": "13"}}),
        ("SET version = version - :eight, further = version", {"version": {"N": "-1"}, "further": {"N": "7"}}),
        ("SET version = if_not_exists(version, :six)", {"version": {"N": "7"}}),
        ("SET absent = if_not_exists(absent, :six) + :eight", {"absent": {"N": "14"}}),
        ("SET halted.#at = :a", {"halted": {"M": {"at": {"S": "a"}, "deep": {"M": {"x": {"N": "1"}}}}}}),
        (
            "SET halted.deep.y = :a REMOVE halted.#at",
            {"halted": {"M": {"deep": {"M": {"x": {"N": "1"}, "y": {"S": "a"}}}}}},
        ),
        ("REMOVE version, absent", {"version": None}),
        ("ADD version :six, absent :seven", {"version": {"N": "13"}, "absent": {"N": "7.0"}}),
        ("ADD tags :tags", {"tags": {"SS": ["a", "b", "c"]}}),
        ("ADD numbers :numbers", {"numbers": {"NS": ["1", "2", "3"]}}),
        ("DELETE tags :tags", {"tags": {"SS": ["a"]}}),
        ("DELETE numbers :numbers REMOVE #name", {"numbers": {"NS": ["1"]}, "name": None}),
    ],
)
def test_an_update(text: str, changed: dict[str, Any]) -> None:
    before = {**ITEM}
    after = update(text).apply(ITEM, NAMES, VALUES)
    assert after == {name: value for name, value in {**ITEM, **changed}.items() if value is not None}
    assert before == ITEM
    assert ITEM["halted"]["M"].keys() == {"at", "deep"}, "what was there is left as it is"


@pytest.mark.parametrize(
    "text",
    [
        "SET absent = absent2",
        "SET version = version + #name",
        "SET absent.x = :a",
        "REMOVE absent.x",
        "ADD #name :six",
        "ADD version :a",
        "DELETE version :six",
        "SET version = :six SET absent = :six",
        "SET version :six",
        "UPDATE version = :six",
    ],
)
def test_an_update_that_aws_refuses(text: str) -> None:
    with pytest.raises(AwsError, match="ValidationException"):
        update(text).apply(ITEM, NAMES, VALUES)


@pytest.mark.parametrize(
    "text", ["SET halted.#at = :a REMOVE halted", "SET version = :six ADD version :six", "SET id = :a"]
)
def test_paths_neither_overlap_nor_lead_to_the_key(text: str) -> None:
    with pytest.raises(AwsError, match="ValidationException"):
        update(text).paths(NAMES, ("id",))


def test_a_projection() -> None:
    paths = projection("#name, halted.deep.x, halted.absent, absent").paths(NAMES)
    assert project(ITEM, paths) == {"name": {"S": "ab"}, "halted": {"M": {"deep": {"M": {"x": {"N": "1"}}}}}}
    with pytest.raises(AwsError, match="overlap"):
        projection("halted, halted.deep").paths(NAMES)


@pytest.mark.parametrize(
    ("text", "ranged"),
    [
        ("id = :a", KeyRange()),
        ("part > :six AND id = :a", KeyRange(VALUES[":six"], None, (False, True))),
        ("(id = :a) AND (part <= :six)", KeyRange(None, VALUES[":six"], (True, True))),
        ("id = :a AND part BETWEEN :six AND :eight", KeyRange(VALUES[":six"], VALUES[":eight"])),
        ("id = :a AND begins_with(part, :a)", KeyRange(VALUES[":a"], None, prefix=True)),
    ],
)
def test_a_key_condition(text: str, ranged: KeyRange) -> None:
    assert key_condition(text).bind(("id", "part"), {}, VALUES) == (VALUES[":a"], ranged)


@pytest.mark.parametrize("text", ["part = :six", "id > :a", "id = :a AND id = :a", "id = :a AND x = :a", "id <> :a"])
def test_a_key_condition_that_aws_refuses(text: str) -> None:
    with pytest.raises(AwsError, match="ValidationException"):
        key_condition(text).bind(("id", "part"), {}, VALUES)


def test_the_statements_of_a_read_model() -> None:
    insert = parse("""INSERT INTO "t-1" VALUE {'id': ?, 'version': ?}""")
    assert insert == Statement("t-1", True, ("id", "version"))
    text = (
        'UPDATE "t-1" SET "version"=? SET "x"=? WHERE "id"=? AND "version"=? AND "halted" IS MISSING AND "revision"=?'
    )
    assert parse(text) == Statement("t-1", False, ("version", "x"), ("id", "version", "revision"), ("halted",))


def test_numbers_are_kept_as_dynamodb_writes_them() -> None:
    assert [canonical(text) for text in ("007", "2.50", "-0", "1E2", "1e-3")] == ["7", "2.5", "0", "100", "0.001"]
    assert number("1.0") == 1
    for wrong in ("", "one", "1" * 39, "1E126", "1E-131", "NaN", "²"):
        with pytest.raises(AwsError, match="ValidationException"):
            canonical(wrong)


def test_an_item_is_kept_in_one_notation_and_measured() -> None:
    plain = {"id": {"S": "ä"}, "version": {"N": "12345"}}
    assert stored(plain) == (plain, item_size(plain))
    assert stored(plain)[0] is plain
    odd: dict[str, Any] = {"n": {"N": "1.0"}, "s": {"NS": ["3", "1.0"]}, "m": {"M": {"x": {"SS": ["b", "a"]}}}}
    kept, size = stored(odd)
    assert kept == {"n": {"N": "1"}, "s": {"NS": ["1", "3"]}, "m": {"M": {"x": {"SS": ["a", "b"]}}}}
    assert size == item_size(kept)
    refused: list[dict[str, Any]] = [{"SS": []}, {"NS": ["1", "1.0"]}, {"N": "x"}, {"L": [{"N": "x"}]}]
    for wrong in refused:
        with pytest.raises(AwsError, match="ValidationException"):
            stored({"a": wrong})
