"""Random items and expressions over them: every shape that Kinfold writes, and the shapes next to these."""

from __future__ import annotations

from random import Random
from typing import Any

Value = dict[str, Any]
Request = dict[str, Any]

NUMBERS = ("0", "1", "-1", "2.50", "007", "10", "1E2", "-0.5")
TEXTS = ("", "a", "ab", "b", "ä")
VALUES: tuple[Value, ...] = (
    *({"N": number} for number in NUMBERS),
    *({"S": text} for text in TEXTS),
    {"BOOL": True},
    {"NULL": True},
    {"SS": ["a", "b"]},
    {"SS": ["b", "c"]},
    {"NS": ["1", "2"]},
    {"NS": ["2"]},
    {"L": [{"N": "1"}, {"S": "a"}]},
    {"M": {"x": {"N": "1"}, "y": {"S": "a"}}},
    {"B": b"bytes"},
)
#: Attributes, and what they usually hold.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "count": ("N",),
    "version": ("N",),
    "text": ("S",),
    "tags": ("SS",),
    "numbers": ("NS",),
    "halted": ("M",),
    "any": ("N", "S", "BOOL", "NULL", "SS", "NS", "L", "M", "B"),
}
#: Their paths.
PATHS = ("count", "version", "text", "tags", "numbers", "halted", "halted.x", "halted.y", "halted.z", "any")
#: Reserved words, which need a name of the request.
RESERVED = frozenset({"count", "text", "any", "number"})


def value(random: Random, *kinds: str) -> Value:
    """A value of one of these types, of any when none is given."""
    return random.choice([each for each in VALUES if not kinds or next(iter(each)) in kinds])


def attributes(random: Random) -> Value:
    """Some attributes with what they usually hold."""
    chosen = [name for name in ATTRIBUTES if random.random() < 0.5]
    return {name: value(random, *ATTRIBUTES[name]) for name in chosen}


class Expressions:
    """Writes expressions for one request, and collects the names and values that they use."""

    def __init__(self, random: Random, *, strict: bool) -> None:
        """Not ``strict``: without what the embedded AWS takes for something else.

        It refuses `begins_with` for an attribute that is no text, finds two missing attributes equal, and removes what
        a missing map has.
        """
        self._random = random
        self._strict = strict
        self.names: dict[str, str] = {}
        self.values: Value = {}

    def request(self, **more: Any) -> Request:
        """The names and values, where there are any, and more of the request."""
        found: Request = dict(more)
        if self.names:
            found["ExpressionAttributeNames"] = self.names
        if self.values:
            found["ExpressionAttributeValues"] = self.values
        return found

    def condition(self, depth: int = 2) -> str:
        """A condition of any shape."""
        kind = self._random.random()
        if depth and kind < 0.2:
            return f"({self.condition(depth - 1)}) OR {self._leaf()}"
        if depth and kind < 0.4:
            return f"{self._leaf()} AND ({self.condition(depth - 1)})"
        if depth and kind < 0.5:
            return f"NOT {self._leaf()}"
        return self._leaf()

    def _leaf(self) -> str:
        random = self._random
        path = random.choice(PATHS)
        usual = ATTRIBUTES.get(path, ("N", "S"))
        at = self.path(path)
        match random.randrange(8 if self._strict else 6):
            case 0:
                return f"attribute_exists({at})"
            case 1:
                return f"attribute_not_exists ({at})"
            case 2:
                low, high = sorted(random.sample(("0", "1", "2.50", "10"), 2), key=float)
                return f"{at} BETWEEN {self.value({'N': low})} AND {self.value({'N': high})}"
            case 3:
                return f"{at} {random.choice(('<', '<=', '>', '>='))} {self.value(value(random, 'N', 'S'))}"
            case 4:
                return f"{at} <> {self.value(value(random, *usual))}"
            case 5:
                return f"{at} = {self.value(value(random, *usual))}"
            case 6:
                return f"begins_with({at}, {self.value({'S': random.choice(TEXTS)})})"
            case _:
                other = random.choice([each for each in PATHS if each != path])
                return f"{at} {random.choice(('=', '<>', '<', '>='))} {self.path(other)}"

    def update(self, *, nested: bool = True) -> str:
        """An update of any shape, of attributes in maps too; its paths do not overlap."""
        random = self._random
        chosen = random.sample(("count", "version", "text", "tags", "numbers", "any"), random.randint(1, 3))
        chosen += random.choice(([], ["halted"], ["halted.x"], ["halted.x", "halted.z"])[: 4 if nested else 2])
        clauses: dict[str, list[str]] = {}
        for path in chosen:
            keyword, action = self._action(path)
            clauses.setdefault(keyword, []).append(action)
        return " ".join(f"{keyword} {', '.join(actions)}" for keyword, actions in clauses.items())

    def _action(self, path: str) -> tuple[str, str]:
        random = self._random
        usual = ATTRIBUTES.get(path, ("N", "S"))
        at = self.path(path)
        kind = random.random()
        if kind < 0.2 and (self._strict or "." not in path):
            return "REMOVE", at
        if kind < 0.4 and not usual[0].endswith("S") and "." not in path:
            return "ADD", f"{at} {self.value(value(random, 'N'))}"
        if usual[0] in {"SS", "NS"} and kind < 0.6:
            return random.choice(("ADD", "DELETE")), f"{at} {self.value(value(random, usual[0]))}"
        match random.randrange(4):
            case 0 if usual == ("N",):
                return "SET", f"{at} = {at} {random.choice('+-')} {self.value(value(random, 'N'))}"
            case 1:
                return "SET", f"{at} = if_not_exists({at}, {self.value(value(random, *usual))})"
            case 2 if usual == ("N",):
                zero, one = self.value({"N": "0"}), self.value({"N": "1"})
                return "SET", f"{at} = if_not_exists({at}, {zero}) + {one}"
            case 3:
                return "SET", f"{at} = {self.path(random.choice(PATHS))}"
            case _:
                return "SET", f"{at} = {self.value(value(random, *usual))}"

    def projection(self) -> str:
        """A projection of some paths."""
        chosen = self._random.sample(("count", "version", "text", "tags", "halted.x", "halted.y"), 3)
        return ", ".join(map(self.path, chosen))

    def path(self, path: str) -> str:
        """A path as an expression has it, some of its names by the request's."""
        return ".".join(self._name(name) for name in path.split("."))

    def value(self, held: Value) -> str:
        """The token of a value."""
        token = f":v{len(self.values)}"
        self.values[token] = held
        return token

    def _name(self, name: str) -> str:
        if name in RESERVED or self._random.random() < 0.3:
            self.names[f"#{name}"] = name
            return f"#{name}"
        return name
