"""The fenced blocks of a document: files, changes to files, and commands in terminals with what they print."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# ([\w./-]+\.(?:py|sh|toml))\n")
_TERMINAL = re.compile(r"# terminal (\d)(, after Ctrl-C)?\n")


@dataclass(frozen=True)
class FileText:
    """A whole file, which begins with its name in a comment."""

    path: str
    text: str

    def applied(self, _: str) -> str:
        return self.text


@dataclass(frozen=True)
class Change:
    """Changes to a file that is there: lines that go, lines that come, and lines around them that stay."""

    path: str
    hunks: tuple[str, ...]

    def applied(self, text: str) -> str:
        for hunk in self.hunks:
            before, after = (
                "".join(line[1:] or line for line in hunk.splitlines(keepends=True) if line[0] in kept)
                for kept in (" -\n", " +\n")
            )
            assert text.count(before) == 1, f"{self.path} has this {text.count(before)} times:\n{before}"
            text = text.replace(before, after)
        return text


@dataclass(frozen=True)
class Session:
    """Commands in a terminal, by its number, and what they print; None where the document does not say."""

    terminal: int
    after_ctrl_c: bool
    commands: str
    printed: str | None


Step = FileText | Change | Session


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return _BLOCK.findall(text)


def steps(text: str) -> Iterator[Step]:
    """The steps of a tutorial. A block `text` is what the commands before it print."""
    found = blocks(text)
    for (language, block), (following, printed) in zip(found, [*found[1:], ("", "")], strict=True):
        name = _FILE.match(block)
        if name is not None:
            yield FileText(name[1], block)
        elif language == "diff":
            path, _, hunks = block.removeprefix("--- ").partition("\n")
            yield Change(path, tuple(hunks.split("@@\n")[1:]))
        elif language == "sh":
            place = _TERMINAL.match(block)
            number, stopped = (int(place[1]), bool(place[2])) if place else (1, False)
            yield Session(number, stopped, block, printed if following == "text" else None)


def agrees(printed: str, expected: str) -> bool:
    """Whether it is what the document says: JSON wherever its lines are broken; a line `...` is any lines, or none."""
    try:
        return bool(json.loads(printed) == json.loads(expected))
    except ValueError:
        parts = [re.escape(part) for part in re.split(r"^\.\.\.\n", expected, flags=re.MULTILINE)]
        return re.fullmatch("(?:.*\n)*?".join(parts), printed) is not None
