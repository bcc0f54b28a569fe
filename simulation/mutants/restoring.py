"""Faults of what a lost events table meets: proofs by event, the guard of the services, and the restore."""

from __future__ import annotations

from typing import Final

from simulation.mutants.mutant import Mutant

_HANDLER: Final = "projector/ingest/batch_handler.py"
_RESTORE: Final = "kinfold/restore/restore.py"
_LEFTOVERS: Final = "kinfold/restore/leftovers.py"
_RECORD: Final = "        self._retry(lambda: self._identities.restored(table_id, datetime.now(UTC)))\n"

RESTORING: Final = (
    Mutant(
        "snapshot-of-another-event",
        "a snapshot is used although another event has its number by now",
        "writer/commands/aggregate_repository.py",
        "elif snapshot.event_hash not in (None, history.follows):",
        "elif history.follows is None:",
    ),
    Mutant(
        "answer-without-its-event",
        "a recorded answer is given although its event is lost",
        "writer/commands/handler.py",
        "if found.event is not None and not self._repository.holds(found.event):",
        "if found.event is not None and not found.body:",
    ),
    Mutant(
        "worthless-answer-in-the-way",
        "the record of an answer whose event is lost is never replaced",
        "ledger/store/idempotency_keys.py",
        "if worthless is not None and worthless.event is not None:",
        "if worthless is not None and worthless.event is None:",
    ),
    Mutant(
        "writer-does-not-ask",
        "a writer appends to a table that it knows to be another one",
        "ledger/store/event_store.py",
        "        self._guard()\n        aggregate_id, number, stored = ",
        "        aggregate_id, number, stored = ",
    ),
    Mutant(
        "projector-does-not-ask",
        "a projector folds although it knows that the table is another one",
        _HANDLER,
        "identity = self._guard.check()\n",
        "identity = self._guard._identity\n",
    ),
    Mutant(
        "new-generation-fed-unseen",
        "a projector that has not noticed yet feeds what a restore builds",
        _HANDLER,
        "if not tables <= self._compared and self._guard.compare() != identity:",
        "if not tables and self._guard.compare() != identity:",
    ),
    Mutant(
        "lost-events-folded",
        "what the stream still holds of lost events is folded after a restore",
        _HANDLER,
        "for event in decoded.events if event.reference not in lost]",
        "for event in decoded.events]",
    ),
    Mutant(
        "lost-events-known-by-number",
        "an event counts as stored when another one has its number",
        "ledger/store/event_store.py",
        "        return asked - {event.reference for event in found}\n",
        "        numbers = {(each.aggregate_id, each.sequence_number) for each in found}\n"
        "        return {each for each in asked if (each.aggregate_id, each.sequence_number) not in numbers}\n",
    ),
    Mutant(
        "skips-remembered",
        "a service remembers through a restore what was skipped of lost events",
        "projector/components.py",
        "TableIdentities(clients.dynamodb, names), skips.reload)",
        "TableIdentities(clients.dynamodb, names), skips.load)",
    ),
    Mutant(
        "table-recorded-first",
        "a restore records the new table before anything agrees with it",
        _RESTORE,
        "        self._retry(self._join)\n",
        _RECORD + "        self._retry(self._join)\n",
    ),
    Mutant(
        "read-models-not-rebuilt",
        "a restore leaves the read models as they are",
        _RESTORE,
        "run(components.projections, segments=segments)",
        "run(components.projections[:0], segments=segments)",
    ),
    Mutant(
        "table-not-joined",
        "a restore does not join the table to the stream",
        _RESTORE,
        "        self._retry(self._join)\n",
        "",
    ),
    Mutant(
        "letters-of-lost-events-kept",
        "a restore keeps the dead letters of lost events",
        _LEFTOVERS,
        "            if self._is_lost(stored.letter):\n",
        "            if self._dry_run and self._is_lost(stored.letter):\n",
    ),
    Mutant(
        "snapshots-of-lost-events-kept",
        "a restore keeps the snapshots of lost events",
        _LEFTOVERS,
        '            snapshots = self._worthless([item for item in items if "version" in item], _snapshot_of)\n',
        "            snapshots: list[Item] = []\n",
    ),
    Mutant(
        "answers-of-lost-events-kept",
        "a restore keeps the answers to commands whose events are lost",
        _LEFTOVERS,
        "            for item in self._worthless(proven, _answer_of):\n",
        "            for item in self._worthless(proven, _answer_of)[:0]:\n",
    ),
    Mutant(
        "builds-of-the-lost-table-resumed",
        "a restore goes on with a rebuild that began on the lost table",
        _RESTORE,
        "        self._retry(partial(tables.abort, components.projections, self._progress.report))\n",
        "",
    ),
)
