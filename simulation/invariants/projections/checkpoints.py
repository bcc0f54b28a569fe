"""No checkpoint passes a record whose effect is not durable: applied, known, waiting for its halt, or dead-lettered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from simulation.aws.streams.kinesis import Stream
from simulation.aws.streams.shard_log import Shard
from simulation.aws.tables.dynamodb import DynamoDB
from simulation.aws.tables.table import NO_SORT, Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.history import Histories, Violated
from simulation.invariants.projections.rows import ACTIVITY, Rows
from simulation.invariants.records import event_of

_END: Final = "SHARD_END"


class Checkpoints:
    """Follows the lease table of the projectors."""

    def __init__(
        self, db: DynamoDB, stream: Stream, histories: Histories, rows: Rows, violated: Violated, profile: str
    ) -> None:
        self._db = db
        self._histories = histories
        self._rows = rows
        self._violated = violated
        self._profile = profile
        #: Letters whose skip is recorded and whose account an operator has not folded on yet.
        self.skipping: set[str] = set()
        self._stream = stream
        self._records: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
        self._passed: defaultdict[str, int] = defaultdict(int)
        stream.listeners.append(self._arrived)

    def _arrived(self, shard: Shard, _: str, data: bytes) -> None:
        self._records[shard.shard_id].append((shard.numbers[-1], data))

    def changed(self, table: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to the lease table."""
        if after is None or "checkpoint" not in after:
            return
        checkpoint = after["checkpoint"]["S"]
        if before is not None and before["checkpoint"]["S"] == checkpoint:
            return
        shard_id = key[0]
        records = self._records[shard_id]
        shard = self._stream.log.shards.get(shard_id)
        if checkpoint == _END:
            reached = len(records)
            if shard is not None and shard.ended is None:
                self._violated("checkpoints", f"{shard_id} is checkpointed as ended, and is open")
        elif checkpoint.isdigit():
            reached = sum(1 for number, _ in records if number <= int(checkpoint))
        else:
            return
        was = before["checkpoint"]["S"] if before is not None else ""
        if was.isdigit() and checkpoint.isdigit() and int(checkpoint) < int(was):
            self._violated("checkpoints", f"{shard_id} went back from {was} to {checkpoint}")
        # Of a shard that has left the stream, nobody can read anything any more.
        trimmed = shard.trimmed if shard is not None else records[-1][0] + 1 if records else 0
        for number, data in records[self._passed[shard_id] : reached]:
            if number >= trimmed and (why := self._not_durable(shard_id, number, data)):
                self._violated("a checkpoint never passes what is not durable", f"{shard_id} at {checkpoint}: {why}")
        self._passed[shard_id] = max(self._passed[shard_id], reached)

    def _not_durable(self, shard_id: str, number: int, data: bytes) -> str | None:
        event = event_of(data)
        if event is None:
            return None if self._has_letter(shard_id, number) else f"record {number} is no event and no dead letter"
        if self._histories.was_lost(data):
            return None
        account, version = event
        for projection in self._rows.projections_of(account):
            # A restore replaces it, and reads what is stored.
            if self.outdated(projection):
                continue
            head = self.head(projection, account)
            if head is None or (int(head["version"]["N"]) < version and "halted" not in head):
                if self._waits(projection, account, version):
                    continue
                reached = "no head" if head is None else f"version {head['version']['N']}"
                return f"event {version} of {account}, {projection}: {reached}"
        return None

    def _has_letter(self, shard_id: str, number: int) -> bool:
        """Whether a record that is no event is a dead letter: one of its own, or one of the account that it names."""
        return any(
            "accountId" in letter
            or (letter["shardId"]["S"], letter["recordSequenceNumber"]["S"]) == (shard_id, str(number))
            for letter in self._letters()
        )

    def _waits(self, projection: str, account: str, version: int) -> bool:
        """Whether an open letter holds the account back: a redrive has lifted its halt and not folded it on yet."""
        return any(
            letter.get("accountId", {}).get("S") == account
            and letter.get("projection", {"S": projection})["S"] == projection
            and int(letter["sequenceNumber"]["N"]) <= version
            and (letter.get("state", {"S": "open"})["S"] == "open" or letter["id"]["S"] in self.skipping)
            for letter in self._letters()
        )

    def _letters(self) -> Iterator[Item]:
        return self._db.tables[f"dead-letters-{self._profile}"].items()

    def active(self, projection: str) -> int | None:
        """The generation that readers see."""
        row = self._db.tables[f"projections-{self._profile}"].get((projection, NO_SORT))
        return int(row["active"]["N"]) if row is not None else None

    def fed(self) -> set[str]:
        """The tables that workers may write to."""
        found = set()
        for projection in self._rows.projections:
            control = self._db.tables[f"projections-{self._profile}"].get((projection, NO_SORT))
            generations = control["fed"]["NS"] if control is not None else ()
            found |= {f"{projection}-{self._profile}-{generation}" for generation in generations}
        return found

    def fed_heads(self, account: str) -> Iterator[tuple[str, Item]]:
        """An account's heads in all generations that are fed, each with the name of its table."""
        for projection in self._rows.projections_of(account):
            control = self._db.tables[f"projections-{self._profile}"].get((projection, NO_SORT))
            for generation in control["fed"]["NS"] if control is not None else ():
                table = self._db.tables.get(f"{projection}-{self._profile}-{generation}")
                head = table.get((account, _head(projection))) if table is not None else None
                if table is not None and head is not None:
                    yield table.name, head

    @property
    def made(self) -> bool:
        """Whether a projector has made every projection's control row, and the table that it names."""
        return all(self._table(projection) in self._db.tables for projection in self._rows.projections)

    def outdated(self, projection: str) -> bool:
        """Whether readers see a generation with rows of a history that was lost."""
        return self._table(projection) in self._rows.doomed

    def _table(self, projection: str) -> str:
        return f"{projection}-{self._profile}-{self.active(projection)}"

    def head(self, projection: str, account: str) -> Item | None:
        """An account's head in the generation that readers see."""
        table = self._db.tables.get(self._table(projection))
        if table is None:
            return None
        return table.get((account, _head(projection)))


def _head(projection: str) -> str:
    return "!" if projection == ACTIVITY else NO_SORT
