"""An operation is a command that the command line has, and a form can put nothing else into it."""

import importlib
from typing import Any

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st

from console.operations.catalogue import OPERATIONS, BadFormError, Operation, shell
from kinfold import cli

FILLED = {"text": "x", "number": "3", "flag": "yes"}


def command_of(operation: Operation) -> Any:
    found: Any = typer.main.get_group(importlib.import_module(cli.SERVICES[operation.command[0]][0]).app)
    for word in operation.command[1:]:
        found = found.commands[word]
    return found


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_each_field_is_an_option_or_argument_of_the_command(operation: Operation) -> None:
    parameters = command_of(operation).params
    options = {option: each for each in parameters for option in each.opts}
    for field in operation.fields:
        if field.option is not None:
            assert field.option in options, field
            assert options[field.option].is_flag == (field.kind == "flag") if field.kind == "flag" else True
    arguments = [each for each in parameters if each.param_type_name == "argument"]
    assert len([field for field in operation.fields if field.option is None]) == len(arguments)
    for option in (*operation.always, *(["--dry-run"] if operation.dry_run else [])):
        assert option in options


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60))
def test_whatever_is_filled_in_stays_one_value_of_its_field(operation: Operation, text: str) -> None:
    form = {field.name: text if field.kind == "text" else FILLED[field.kind] for field in operation.fields}
    words = operation.words(form)
    given_words = words[len(operation.command) + len(operation.always) :]
    if "--" in given_words:
        position = given_words.index("--")
        given_words, arguments = given_words[:position], given_words[position + 1 :]
        assert arguments == [form[field.name] for field in operation.fields if field.option is None]
    assert len(given_words) == len([field for field in operation.fields if field.option is not None])
    assert all(word.startswith("--") for word in given_words)


@pytest.mark.parametrize(
    ("name", "form", "words"),
    [
        ("skip", {}, "Reason: is needed"),
        ("skip", {"reason": "  "}, "Reason: is needed"),
        ("skip", {"reason": "x" * 2001}, "at most 2000"),
        ("skip", {"reason": "a\nb"}, "cannot be shown"),
        ("verify", {"sample": "many"}, "whole number"),
        ("redrive", {"every": "on"}, "given or not"),
        ("lift", {"reason": "x"}, "has no field reason"),
    ],
)
def test_a_form_that_no_page_has_is_refused(name: str, form: dict[str, str], words: str) -> None:
    with pytest.raises(BadFormError, match=words):
        OPERATIONS[name].words(form)


def test_the_command_is_shown_as_a_person_types_it() -> None:
    words = OPERATIONS["skip"].words({"letterId": "balance-summary~alice~2", "reason": "it's; rm -rf"}, dry_run=True)
    assert shell(words) == (
        "kinfold projector dead-letters skip '--reason=it'\"'\"'s; rm -rf' --dry-run -- 'balance-summary~alice~2'"
    )
