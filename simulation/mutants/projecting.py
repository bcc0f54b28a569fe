"""Faults of the projectors' engine, and of dead letters, halts, redrives and skips."""

from __future__ import annotations

from typing import Final

from simulation.mutants.mutant import Mutant

_ENGINE: Final = "projector/engine/projector.py"
_MODEL: Final = "projector/engine/read_model.py"
_GAPS: Final = "projector/engine/gap_repair.py"
_HALTS: Final = "projector/dead_letters/aggregate_halts.py"
_LETTERS: Final = "projector/dead_letters/letters.py"
_REDRIVE: Final = "projector/dead_letters/redrive.py"
_HANDLER: Final = "projector/ingest/batch_handler.py"
_TYPES: Final = "ledger/aggregates/aggregate_type.py"

PROJECTING: Final = (
    Mutant(
        "key-of-any-type",
        "the key of an aggregate of one type is taken for one of every type",
        _TYPES,
        'own = name == ("" if self.bare_ids else self.name)',
        "own = True",
    ),
    Mutant(
        "type-of-an-event-unchecked",
        "an event is folded whose type of aggregate is not that of its key",
        "ledger/store/stored_event.py",
        "if self.aggregate_type != kind.name:",
        "if not self.aggregate_type:",
    ),
    Mutant(
        "type-of-a-record-unchecked",
        "the record of an event counts whose type of aggregate is not that of its key",
        _TYPES,
        "return is_key(key) and (not mark or prefix == name) and self.of_key(key) is self.get(name)",
        "return is_key(key)",
    ),
    Mutant(
        "misplaced-event-halts-nobody",
        "the record of an event under a key of another type is a letter, and its aggregate goes on",
        "ledger/store/change_record.py",
        '        reason = "an INSERT of an event whose aggregate id no aggregate of its type can have"\n'
        "        raise UnusableRecordError(reason, *_key(change))\n",
        '        raise UnusableRecordError("an INSERT of a misplaced event")\n',
    ),
    Mutant(
        "events-of-every-type-taken",
        "a projection takes the events of aggregates that are none of its own",
        "projector/projection.py",
        "return [event for event in events if event.aggregate_type in names]",
        "return [event for event in events if names]",
    ),
    Mutant(
        "version-condition-dropped",
        "a row is updated whatever version it has by now",
        _MODEL,
        "        statement = self._update if state else self._update_head\n"
        '        parameters = [*values, *keys, {"N": str(change.replaces)}]\n',
        "        statement = (self._update if state else self._update_head).replace(' AND \"version\"=?', '')\n"
        "        parameters = [*values, *keys]\n",
    ),
    Mutant(
        "halted-condition-dropped",
        "the row of an aggregate that somebody has halted meanwhile is updated",
        _MODEL,
        ' AND "halted" IS MISSING',
        "",
    ),
    Mutant(
        "revision-condition-dropped",
        "a row that a repair has rewritten is updated from the row before the repair",
        _MODEL,
        "        if row.revision == 0:\n"
        '            return {"Statement": f"{statement} IS MISSING", "Parameters": parameters}\n'
        '        return {"Statement": f"{statement}=?", "Parameters": [*parameters, {"N": str(row.revision)}]}\n',
        '        return {"Statement": statement.replace(\' AND "revision"\', \'\'), "Parameters": parameters}\n',
    ),
    Mutant(
        "parts-after-heads",
        "the head of an aggregate is written before its parts",
        _ENGINE,
        "            lost = {aggregate_id for aggregate_id, _ in self._put(parts)}\n"
        "            heads = [each.head_change() for name, each in advances.items() if each.moved and"
        " name not in lost]\n"
        "            lost |= {aggregate_id for aggregate_id, _ in self._put(heads)}\n",
        "            heads = [each.head_change() for name, each in advances.items() if each.moved]\n"
        "            lost = {aggregate_id for aggregate_id, _ in self._put(heads)}\n"
        "            lost |= {aggregate_id for aggregate_id, _ in self._put(parts)}\n",
    ),
    Mutant(
        "cache-kept-after-lost-condition",
        "a row stays in the cache although a write has shown that it is out of date",
        _ENGINE,
        "            if aggregate_id in lost:\n                self._drop(advance)\n",
        "            if aggregate_id in lost:\n                pass\n",
    ),
    Mutant(
        "cache-kept-after-failed-write",
        "rows of a write without an answer count as written",
        _ENGINE,
        "            for advance in advances.values():\n                self._drop(advance)\n            raise\n",
        "            for advance in advances.values():\n"
        "                self._cache.update({(row.aggregate_id, row.part): row for row in advance.durable()})\n"
        "            raise\n",
    ),
    Mutant(
        "duplicate-folded-twice",
        "a part that is ahead of its head is folded on from the head's version",
        "projector/engine/fold.py",
        "event.sequence_number > row.version:",
        "event.sequence_number > 0:",
    ),
    Mutant(
        "old-events-folded",
        "an event at the head's own version counts as new",
        _GAPS,
        "fresh = [event for event in delivered if event.sequence_number > version]",
        "fresh = [event for event in delivered if event.sequence_number >= version]",
    ),
    Mutant(
        "gap-not-repaired",
        "events ahead of the head are folded without those in between",
        _GAPS,
        "    if missing is None:\n        yield from fresh\n        return\n",
        "    if missing is None or missing:\n        yield from fresh\n        return\n",
    ),
    Mutant(
        "newcomer-unchecked",
        "an aggregate whose insertion has failed is still taken for one without a row",
        _ENGINE,
        "            newcomers = set()\n",
        "",
    ),
    Mutant(
        "refused-rows-forgotten",
        "rows that DynamoDB has refused for now, out of a batch, count as written",
        _MODEL,
        "                if refused:\n",
        "                if len(refused) == len(changes):\n",
    ),
    Mutant(
        "halt-not-stored",
        "what can never be applied gets its letter, and its aggregate is not halted",
        _HALTS,
        "            self._halt(letter.aggregate_id, letter.sequence_number, stored, projector, overtaken=overtaken)\n",
        "            True\n",
    ),
    Mutant(
        "letter-not-stored",
        "an aggregate is halted without a letter that says why",
        _HALTS,
        "        stored = self._letters.store(letter)\n",
        "        stored = self._letters.get(letter.id) or StoredLetter(letter.id, letter, 0, 1, '', '', 'open')\n",
    ),
    Mutant(
        "letter-after-halt",
        "an aggregate is halted before its letter is stored",
        _HALTS,
        "        stored = self._letters.store(letter)\n",
        "        stored = self._letters.get(letter.id) or StoredLetter(letter.id, letter, 0, 1, '', '', 'open')\n"
        "        for projector in projectors if letter.aggregate_id and letter.sequence_number else ():\n"
        "            self._halt(letter.aggregate_id, letter.sequence_number, stored, projector, overtaken=overtaken)\n"
        "        stored = self._letters.store(letter)\n",
    ),
    Mutant(
        "letters-dropped",
        "a record that is no event is completed without a letter",
        _HANDLER,
        "                    self._aggregate_halts.store_and_halt(letter, projectors, overtaken=False)\n",
        "                    pass\n",
    ),
    Mutant(
        "halt-trusted-from-the-cache",
        "a halt is remembered after a redrive has lifted it",
        _ENGINE,
        "                self.forget(aggregate_id)\n"
        "                self._metrics.waiting.inc(sum(event.sequence_number > head.version for event in delivered))\n",
        "                self._cache[(aggregate_id, HEAD)] = head\n"
        "                self._metrics.waiting.inc(sum(event.sequence_number > head.version for event in delivered))\n",
    ),
    Mutant(
        "halt-never-lifted",
        "a redrive writes the head again and leaves its halt",
        _MODEL,
        'self._head_update(head.aggregate_id, "REMOVE halted", condition, values)',
        'self._head_update(head.aggregate_id, "SET version = :v", condition, values)',
    ),
    Mutant(
        "redrive-without-folding-on",
        "a redrive lifts the halt and does not fold what has waited",
        _REDRIVE,
        "            if last <= version:\n",
        "            if last >= version:\n",
    ),
    Mutant(
        "skip-not-recorded",
        "an event is skipped by one process, and no other one knows",
        _REDRIVE,
        "            self._letters.skip(letter_id, by=by, why=why)\n",
        "",
    ),
    Mutant(
        "skip-overwritten",
        "a letter that was skipped is redriven, and its event no longer skipped",
        _LETTERS,
        '_NOT_SKIPPED: Final = "attribute_not_exists(#state) OR #state <> :skipped"',
        '_NOT_SKIPPED: Final = "attribute_exists(id) OR #state <> :skipped"',
    ),
    Mutant(
        "halt-without-its-letter-open",
        "a worker halts an aggregate although an operator has redriven the letter since it was stored",
        _MODEL,
        'TransactItems=[provided, {"Update": update}]',
        'TransactItems=[{"Update": update}]',
    ),
    Mutant(
        "redrive-ends-regardless",
        "a letter is marked as redriven although a worker has halted the aggregate again meanwhile",
        _LETTERS,
        '"redriven", "redrive = :redrive",',
        '"redriven", "attribute_exists(id) OR redrive = :redrive",',
    ),
)
