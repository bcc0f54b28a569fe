"""The operations: each is a command with some of its options, in a form. Nothing else can be run from the console.

operation = OPERATIONS["skip"]
words = operation.words({"letterId": "balance-summary~alice~2", "reason": "ticket 4711"})
shell(words)        # kinfold projector dead-letters skip '--reason=ticket 4711' -- balance-summary~alice~2
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ledger.errors import PermanentError

#: Characters of one field; a reason has at most as many.
MAX_FIELD: Final = 2000


class BadFormError(PermanentError):
    """A form that no page of the console has: a field that is missing, unknown, too long or not of its kind."""


@dataclass(frozen=True, slots=True)
class Field:
    """One option or argument of a command.

    ``option``: as the command line has it; None for an argument. A flag is given or not; a number has only digits.
    """

    name: str
    label: str
    option: str | None
    kind: Literal["text", "number", "flag"] = "text"
    hint: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """A command that operators run. ``command``: its words. ``dry_run``: whether it has ``--dry-run``."""

    name: str
    title: str
    command: tuple[str, ...]
    says: str
    fields: tuple[Field, ...] = ()
    #: What goes with it always.
    always: tuple[str, ...] = ()
    dry_run: bool = False
    #: Whether what it does cannot be taken back: the form asks once more.
    final: bool = False

    def words(self, form: Mapping[str, str], *, dry_run: bool = False) -> list[str]:
        """The words of the command line. Raises BadFormError.

        A value can be no option: it comes after ``=``, or after ``--``.
        """
        known = {each.name: each for each in self.fields}
        if unknown := form.keys() - known.keys():
            raise BadFormError(f"{self.title} has no field {', '.join(sorted(unknown))[:100]}")
        options, arguments = list(self.always), []
        for each in self.fields:
            value = form.get(each.name, "").strip()
            if not value:
                if each.required:
                    raise BadFormError(f"{each.label}: is needed")
                continue
            _check(each, value)
            if each.option is None:
                arguments.append(value)
            else:
                options.append(each.option if each.kind == "flag" else f"{each.option}={value}")
        if dry_run and self.dry_run:
            options.append("--dry-run")
        return [*self.command, *options, *(["--", *arguments] if arguments else [])]


def shell(words: Sequence[str]) -> str:
    """The command as a person types it."""
    return shlex.join(["kinfold", *words])


def _check(field: Field, value: str) -> None:
    if len(value) > MAX_FIELD:
        raise BadFormError(f"{field.label}: has at most {MAX_FIELD} characters")
    if not value.isprintable():
        raise BadFormError(f"{field.label}: holds a character that cannot be shown")
    if field.kind == "number" and not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise BadFormError(f"{field.label}: is a whole number")
    if field.kind == "flag" and value != "yes":
        raise BadFormError(f"{field.label}: is given or not")


_LETTERS: Final = (
    Field("letterId", "Dead letter", None, hint="one letter's id; or choose by the next two"),
    Field("aggregate", "Aggregate", "--aggregate", hint="only letters of this aggregate"),
    Field("matching", "Reason has", "--matching", hint="only letters whose reason has this text"),
)
_PROJECTION: Final = Field("projection", "Read model", "--projection", hint="all unless given")
_SEGMENTS: Final = Field("segments", "Segments", "--segments", "number", "parallel readers of the events table")
_UNITS: Final = Field("readUnits", "Read units a second", "--read-units", "number", "at most; no bound unless given")

OPERATIONS: Final[Mapping[str, Operation]] = {
    each.name: each
    for each in (
        Operation(
            "redrive",
            "Redrive",
            ("projector", "dead-letters", "redrive"),
            "Folds halted aggregates on with today's code. Fix the cause first.",
            (*_LETTERS, Field("every", "All open letters", "--all", "flag")),
            dry_run=True,
        ),
        Operation(
            "skip",
            "Skip",
            ("projector", "dead-letters", "skip"),
            "Skips events for good, in their read model, and redrives their aggregates.",
            (Field("reason", "Reason", "--reason", hint="why, for the record", required=True), *_LETTERS),
            dry_run=True,
            final=True,
        ),
        Operation(
            "verify",
            "Verify",
            ("projector", "verify"),
            "Compares each aggregate with the event store at its own version. Changes nothing.",
            (
                _PROJECTION,
                Field("sample", "Sample", "--sample", "number", "about so many aggregates; all unless given"),
                _SEGMENTS,
                _UNITS,
            ),
        ),
        Operation(
            "repair",
            "Verify and repair",
            ("projector", "verify"),
            "Rewrites rows that are wrong, deletes rows without events, folds on what is behind.",
            (_PROJECTION, _SEGMENTS, _UNITS),
            always=("--repair",),
        ),
        Operation(
            "rebuild",
            "Rebuild",
            ("projector", "rebuild"),
            "Makes a new generation beside the live one, and shows it once every aggregate agrees.",
            (_PROJECTION, _SEGMENTS, _UNITS),
        ),
        Operation(
            "abort",
            "Abort the rebuild",
            ("projector", "rebuild"),
            "Gives up the build under way and deletes its tables. Readers see no difference.",
            (_PROJECTION,),
            always=("--abort",),
            final=True,
        ),
        Operation(
            "drop",
            "Drop a generation",
            ("projector", "generations", "drop"),
            "Deletes the table of an old generation for good.",
            (
                Field("name", "Read model", None, required=True),
                Field("generation", "Generation", None, "number", required=True),
            ),
            final=True,
        ),
        Operation(
            "hold",
            "Hold the watch",
            ("bridge", "hold"),
            "Has the watch observe and report, and change nothing, while you do.",
            (Field("reason", "Reason", "--reason", hint="whoever looks reads it", required=True),),
        ),
        Operation(
            "lift", "Lift the hold", ("bridge", "hold"), "The watch repairs again what was lost.", always=("--lift",)
        ),
        Operation(
            "backfill",
            "Backfill",
            ("bridge", "backfill"),
            "Puts events on the stream again. Projectors that have them count them as duplicates.",
            (
                Field("aggregate", "Aggregate", "--aggregate", hint="only this one"),
                Field("since", "Since", "--since", hint="2026-01-31T06:00Z"),
                Field("until", "Until", "--until", hint="2026-01-31T07:00Z"),
                Field("everything", "Every event of every aggregate", "--all", "flag"),
                Field("rate", "Events a second", "--rate", "number", "at most; half of what the shards take"),
            ),
            dry_run=True,
        ),
    )
}
