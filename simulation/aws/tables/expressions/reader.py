"""Reading an expression: its tokens, its operands, and what it takes from the request's names and values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from simulation.aws.errors import NotModelledError, validation
from simulation.aws.tables.expressions.reserved import RESERVED
from simulation.aws.tables.values import Item

Names = Mapping[str, str]
Values = Mapping[str, Any]
#: Reads an operand: None when the item lacks it.
Operand = Callable[[Item, Names, Values], Any]
#: Where an attribute is: the tokens of its name, and of those below it in maps.
Path = tuple[str, ...]

_TOKEN: Final = re.compile(r"\s*(<>|<=|>=|[=<>(),+.-]|[#:]?\w+)")


class Reader:
    """The tokens of an expression, one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._at = 0
        #: What is taken from ExpressionAttributeNames and ExpressionAttributeValues.
        self.names: set[str] = set()
        self.values: set[str] = set()
        if not text.strip():
            raise self.wrong("it is empty")
        if "".join(self._tokens) != re.sub(r"\s", "", text):
            raise NotModelledError(f"expression: {text}")

    def wrong(self, what: str) -> Exception:
        """A ValidationException about the expression as it is written."""
        return validation(f"Invalid expression: {what}: {self._text}")

    @property
    def ended(self) -> bool:
        """Whether no token is left."""
        return self._at == len(self._tokens)

    def end(self) -> None:
        """Raise ValidationException unless no token is left."""
        if not self.ended:
            raise self.wrong(f"Syntax error; token: {self.peek()}")

    def peek(self, ahead: int = 0) -> str:
        """The next token, or one further on; empty at the end."""
        at = self._at + ahead
        return str(self._tokens[at]) if at < len(self._tokens) else ""

    def take(self) -> str:
        """The next token, which is used up."""
        if self.ended:
            raise self.wrong("it ends too soon")
        self._at += 1
        return str(self._tokens[self._at - 1])

    def accept(self, token: str) -> bool:
        """Use up the next token if it is this one, a keyword in any case."""
        if self.peek().upper() == token:
            self._at += 1
            return True
        return False

    def expect(self, token: str) -> None:
        """Use up the next token, which has to be this one."""
        if not self.accept(token):
            raise self.wrong(f"{token} was expected, token: {self.peek()}")

    def path(self) -> Path:
        """Read the path of an attribute."""
        path = [self._name()]
        while self.accept("."):
            path.append(self._name())
        return tuple(path)

    def value(self) -> str:
        """Read the token of a value of the request."""
        token = self.take()
        if not token.startswith(":"):
            raise self.wrong(f"a value was expected, token: {token}")
        self.values.add(token)
        return token

    def _name(self) -> str:
        token = self.take()
        if token.startswith("#"):
            self.names.add(token)
        elif not (token[0].isalpha() or token[0] == "_") or self.peek() == "(":
            raise self.wrong(f"Syntax error; token: {token}")
        elif token.upper() in RESERVED:
            raise self.wrong(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        return token


def operand(reader: Reader) -> Operand:
    """Read a value of the request, or a path."""
    if reader.peek().startswith(":"):
        token = reader.value()
        return lambda item, names, values: values[token]
    return at(reader.path())


def at(path: Path) -> Operand:
    """What is at a path; None when there is nothing."""
    first, *rest = path
    if not rest:
        if first.startswith("#"):
            return lambda item, names, values: item.get(names[first])
        return lambda item, names, values: item.get(first)

    def nested(item: Item, names: Names, values: Values) -> Any:
        return found(item, resolved(path, names))

    return nested


def resolved(path: Path, names: Names) -> Path:
    """A path with the names that its tokens stand for."""
    return tuple(names[token] if token[0] == "#" else token for token in path)


def found(item: Item, path: Path) -> Any:
    """What an item has at a path of names; None when there is nothing."""
    held: Any = item.get(path[0])
    for step in path[1:]:
        if held is None:
            return None
        held = held.get("M", {}).get(step)
    return held


def overlap(paths: list[Path]) -> bool:
    """Whether one of the paths of names is another, or leads through it."""
    if all(len(path) == 1 for path in paths):
        return len(set(paths)) < len(paths)
    return any(
        longer[: len(shorter)] == shorter
        for number, one in enumerate(paths)
        for other in paths[:number]
        for shorter, longer in (sorted((one, other), key=len),)
    )
