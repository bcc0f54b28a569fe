"""A fault that can be put into a copy of the code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class MisplacedError(Exception):
    """The text that a mutant replaces is not in its file, or more than once: the code has changed since."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: ``old``, which occurs once in ``file``, becomes ``new``. ``breaks`` says what no longer holds."""

    name: str
    breaks: str
    file: str
    old: str
    new: str

    def mutated(self, root: Path) -> str:
        """The text of the file under ``root`` with the fault in it. Raises MisplacedError."""
        text = (root / self.file).read_text()
        found = text.count(self.old)
        if found != 1:
            raise MisplacedError(f"{self.name}: the text to replace occurs {found} times in {self.file}")
        return text.replace(self.old, self.new)

    def apply(self, root: Path) -> None:
        """Put the fault into the file under ``root``. Raises MisplacedError."""
        (root / self.file).write_text(self.mutated(root))
