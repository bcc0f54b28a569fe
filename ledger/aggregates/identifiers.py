"""Identifiers that come from outside: letters, digits and a few marks, bounded in length.

They become DynamoDB keys, URL paths and fields of log lines, so nothing that could forge any of these gets in.
"""

import re
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

#: Between the type and the id in the key of an aggregate. No id has it in it; URLs and shells leave it as it is.
MARK: Final = "~"
MAX_ID: Final = 128
ID_RULE: Final = "letters, digits and . _ : - only, a letter or digit first"
_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,%d}"
TYPE_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_KEY: Final = re.compile(rf"(?:{TYPE_NAME.pattern}{MARK})?{_ID % (MAX_ID - 1)}", re.ASCII)


class Explained:
    """Annotates a type with the one sentence that a person is told of a value which it does not take.

    The value is never repeated, as pydantic's own words might.
    """

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The type's schema, with our words in place of its errors."""
        return core_schema.custom_error_schema(handler(source), "explained", custom_error_message=self.sentence)


class Identifier(Explained):
    """The rule of some ids, and the annotation of a text as one: ``Annotated[str, Identifier("an order id", 64)]``.

    ``what`` is what people call it. ``pattern``, a regular expression of the whole id, can narrow what every id obeys.
    """

    def __init__(self, what: str = "an id", longest: int = MAX_ID, *, pattern: str | None = None) -> None:
        rule = f"has 1 to {longest} characters: {ID_RULE}" if pattern is None else f"matches {pattern}"
        super().__init__(f"{what} {rule}")
        self._pattern = f"^(?:{pattern})$" if pattern is not None else f"^{_ID % (longest - 1)}$"
        self._matches = re.compile(self._pattern[1:-1], re.ASCII).fullmatch

    def accepts(self, text: str) -> bool:
        """Whether it is one."""
        return self._matches(text) is not None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A text of the pattern, which is in the JSON schema too."""
        text = core_schema.str_schema(pattern=self._pattern)
        return core_schema.custom_error_schema(text, "explained", custom_error_message=self.sentence)


IdempotencyKey = Annotated[str, Identifier("a key")]


def is_key(text: str) -> bool:
    """Whether an aggregate of some type can have this key: an id, or a type, ``~`` and an id."""
    return _KEY.fullmatch(text) is not None
