"""Halts: no account is held back without an open letter that says why, and that an operator can redrive."""

from __future__ import annotations

from simulation.aws.tables.dynamodb import DynamoDB
from simulation.aws.tables.table import NO_SORT, Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.history import Violated
from simulation.invariants.projections.checkpoints import Checkpoints
from simulation.invariants.projections.rows import Rows


class Halts:
    """Follows the rows of the read models, and the dead letters."""

    def __init__(self, db: DynamoDB, letters: str, checkpoints: Checkpoints, rows: Rows, violated: Violated) -> None:
        """``letters``: the table of dead letters."""
        self._db = db
        self._rows = rows
        self._letters = letters
        self._checkpoints = checkpoints
        self._violated = violated

    def changed(self, table: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to a read model's table."""
        if after is None or "halted" not in after:
            return
        if before is not None and "halted" in before:
            # A repair takes an account back to where its events end.
            if before["version"] != after["version"] and table.name not in self._rows.doomed:
                self._violated("a halted account stands still", f"{table.name}: {key[0]} to {after['version']['N']}")
            return
        letter = after["halted"]["M"]["deadLetter"]["S"]
        stored = self._db.tables[self._letters].get((letter, NO_SORT))
        if stored is None:
            self._violated("a letter before its halt", f"{table.name}: {key[0]} is halted, and {letter} is not stored")
        elif (state := _state(stored)) != "open":
            self._violated("no halt without an open letter", f"{table.name}: {key[0]} is halted by {letter}: {state}")

    def resolved(self, _: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to the dead letters."""
        if before is None or after is None or _state(after) != "redriven" or _state(before) == "redriven":
            return
        for table, head in self._checkpoints.fed_heads(after["accountId"]["S"]) if "accountId" in after else ():
            if head.get("halted", {"M": {"deadLetter": {"S": ""}}})["M"]["deadLetter"]["S"] == key[0]:
                self._violated("no halt without an open letter", f"{key[0]} is redriven, and still halts {table}")


def _state(letter: Item) -> str:
    return str(letter["state"]["S"]) if "state" in letter else "open"
