from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from ledger.aggregates.identifiers import Identifier

ACCOUNT: TypeAdapter[str] = TypeAdapter(Annotated[str, Identifier("an account id")])
BET: TypeAdapter[str] = TypeAdapter(Annotated[str, Identifier("a bet id", 64)])


@pytest.mark.parametrize(("kind", "most"), [(ACCOUNT, 128), (BET, 64)])
def test_an_identifier_is_bounded(kind: TypeAdapter[str], most: int) -> None:
    assert kind.validate_python("a" * most) == "a" * most
    with pytest.raises(ValidationError):
        kind.validate_python("a" * (most + 1))


@pytest.mark.parametrize("kind", [ACCOUNT, BET])
@pytest.mark.parametrize("value", ["", "-a", "a b", "a\n", "a/b", "a\x00", "ä", "a{b}", 7, None])
def test_what_could_forge_a_key_a_path_or_a_log_line_is_refused(kind: TypeAdapter[str], value: object) -> None:
    with pytest.raises(ValidationError):
        kind.validate_python(value)


@pytest.mark.parametrize("value", ["a", "alice", "a.b_c:d-e", "0"])
def test_letters_digits_and_marks_pass(value: str) -> None:
    assert ACCOUNT.validate_python(value) == value
