"""Faults of what operators run: rebuilds, backfills, verification and repair."""

from __future__ import annotations

from typing import Final

from simulation.mutants.mutant import Mutant

_REBUILD: Final = "projector/rebuild/rebuild.py"
_BUILDER: Final = "projector/rebuild/builder.py"
_READING: Final = "projector/verification/history_reading.py"
_REPAIR: Final = "projector/verification/repair.py"
_JOBS: Final = "ledger/store/resumable_job.py"

OPERATING: Final = (
    Mutant(
        "flip-without-scan-and-verify",
        "a new generation is shown to readers as it was made, empty",
        _REBUILD,
        "            for together in _groups(lanes):\n                self._read(together)\n",
        "",
    ),
    Mutant(
        "no-wait-for-the-workers",
        "a rebuild scans the events before every worker feeds the new generation",
        _REBUILD,
        "            self._stop.wait(SEEN_BY_ALL)\n        for lane in lanes:\n",
        "        for lane in lanes:\n",
    ),
    Mutant(
        "retired-before-readers-moved",
        "the old generation is no longer fed while readers may still see it",
        _REBUILD,
        "        self._stop.wait(SEEN_BY_ALL)\n        for each in rebuilt:\n",
        "        for each in rebuilt:\n",
    ),
    Mutant(
        "oldest-generation-first",
        "workers feed the old generation before the one that readers are about to see",
        "projector/engine/read_model_registry.py",
        "for generation in sorted(current[name].fed, reverse=True)",
        "for generation in sorted(current[name].fed)",
    ),
    Mutant(
        "active-generation-unfed",
        "workers feed the generation that is being built, and the one that readers see no more",
        "projector/engine/read_model_registry.py",
        "for generation in sorted(current[name].fed, reverse=True)",
        "for generation in sorted(current[name].fed, reverse=True)[:1]",
    ),
    Mutant(
        "cursor-before-page",
        "a segment counts as read up to a page before the page is handled",
        "ledger/store/parallel_scan.py",
        "            retry(partial(handle, items))\n            done(segment, cursor)\n",
        "            done(segment, cursor)\n            retry(partial(handle, items))\n",
    ),
    Mutant(
        "cursor-before-histories",
        "a rebuild's segment counts as read up to a page before the aggregates of the page are built",
        _READING,
        "            counts = {\n",
        "            done(segment, cursor, started, {})\n            counts = {\n",
    ),
    Mutant(
        "part-of-a-history-for-the-whole",
        "the events that a page shows of an aggregate count as its whole history",
        _READING,
        "                if number == self._reached + 1:\n",
        "                if number > self._reached:\n",
    ),
    Mutant(
        "head-without-its-parts",
        "a head is inserted although somebody else has begun one of its parts",
        _BUILDER,
        " if rows[HEAD].aggregate_id not in lost]",
        "]",
    ),
    Mutant(
        "others-rows-taken-as-built",
        "a row that somebody else has begun is taken for the one that should have been inserted",
        "projector/verification/stored_rows.py",
        "if found.get(aggregate_id) == rows}",
        "if aggregate_id in found}",
    ),
    Mutant(
        "job-saved-by-anybody",
        "a job that was taken over is still written to by the process that has lost it",
        _JOBS,
        'if not self._write(saved, f"{self._owner} = :{self._owner}"):',
        'if not self._write(saved, f"attribute_exists({self._owner}) OR {self._owner} = :{self._owner}"):',
    ),
    Mutant(
        "segment-ends-early",
        "a segment ends at its first page",
        "ledger/store/parallel_scan.py",
        'Cursor(last, last is None, cursor.items + page["ScannedCount"])',
        'Cursor(last, True, cursor.items + page["ScannedCount"])',
    ),
    Mutant(
        "repair-unconditional",
        "a repair overwrites what a worker has written since the row was read",
        _REPAIR,
        "**unchanged(found, dict.fromkeys((*found, *_GIVEN)))",
        '**unchanged(found, ("aggregateId",))',
    ),
    Mutant(
        "repair-without-revision",
        "a repair leaves a row's revision, so that a worker that holds the wrong row may write on",
        _REPAIR,
        "revision=_revision(difference) + 1)",
        "revision=_revision(difference))",
    ),
    Mutant(
        "verification-reads-events-first",
        "the events are read before the rows, so that an aggregate that moves meanwhile looks wrong",
        "projector/verification/aggregate_check.py",
        "AggregateHistory(aggregate_id, self._store.read(aggregate_id), self.skipped)\n",
        "AggregateHistory(aggregate_id, list(self._store.read(aggregate_id)), self.skipped)\n"
        "        rows = self._rows(aggregate_id)\n",
    ),
)
