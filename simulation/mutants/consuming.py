"""Faults of whoever reads a stream: completion, checkpoints, leases, and the order of shards."""

from __future__ import annotations

from typing import Final

from simulation.mutants.mutant import Mutant

_TRACKER: Final = "faust_kinesis/leases/checkpoint_tracker.py"
_LEASES: Final = "faust_kinesis/leases/table.py"
_HANDLER: Final = "projector/ingest/batch_handler.py"

CONSUMING: Final = (
    Mutant(
        "completed-before-applied",
        "a batch is completed before its effect is durable",
        _HANDLER,
        "            self._metrics.records.inc(len(batch.records))\n",
        "            self._metrics.records.inc(len(batch.records))\n            batch.complete()\n",
    ),
    Mutant(
        "checkpoint-of-the-last-added",
        "the checkpoint is the last batch that was read, completed or not",
        _TRACKER,
        "        self._open.append(batch)\n",
        "        self._open.append(batch)\n        self._checkpoint = last_sequence_number\n",
    ),
    Mutant(
        "checkpoint-of-any-completed",
        "the checkpoint passes batches that are not completed, once a later one is",
        _TRACKER,
        "        while self._open and self._open[0].done:\n",
        "        while batch in self._open:\n",
    ),
    Mutant(
        "shard-end-too-early",
        "a shard counts as read to its end while batches of it are not completed",
        _TRACKER,
        "return SHARD_END if self._closed and not self._open else self._checkpoint",
        "return SHARD_END if self._closed else self._checkpoint",
    ),
    Mutant(
        "child-before-parent",
        "a shard is read although its parent is not read to its end",
        "faust_kinesis/leases/planner.py",
        "    return all(leases[parent].ended for parent in lease.parents if parent in leases)\n",
        "    return all(leases[parent].counter for parent in lease.parents if parent in leases)\n",
    ),
    Mutant(
        "child-read-from-its-tip",
        "a new shard is read from its end rather than from its beginning",
        "faust_kinesis/leases/topology.py",
        "        _lease(shard, TRIM_HORIZON, None)\n",
        "        _lease(shard, LATEST, topology.listed_at)\n",
    ),
    Mutant(
        "lease-written-by-anybody",
        "a worker that has lost its lease goes on checkpointing it",
        _LEASES,
        '_HELD = "leaseOwner = :me AND leaseCounter = :seen"',
        '_HELD = "attribute_exists(leaseKey) OR leaseOwner = :me AND leaseCounter = :seen"',
    ),
    Mutant(
        "lease-taken-unseen",
        "a lease is taken although somebody has written to it since it was read",
        _LEASES,
        'condition="leaseCounter = :seen")',
        'condition="leaseCounter = :seen OR leaseCounter > :seen")',
    ),
    Mutant(
        "page-left-out",
        "a page that holds a single record is not handed out",
        "faust_kinesis/polling/shard_runner.py",
        "            if page.records and self._fetching:\n",
        "            if page.records and self._fetching and page.records[0] is not page.records[-1]:\n",
    ),
    Mutant(
        "unprocessed-keys-forgotten",
        "keys that DynamoDB has left unprocessed count as rows that do not exist",
        "aws_client/batch_reads.py",
        '            self._left = left.get(self._table, {}).get("Keys", [])\n',
        '            self._left = left.get("", {}).get("Keys", [])\n',
    ),
    Mutant(
        "fault-taken-for-permanent",
        "a fault of the service that passes ends a process for good",
        "aws_client/failures.py",
        "        Failure.FAULT,\n        Failure.UNREACHABLE,\n",
        "        Failure.UNREACHABLE,\n",
    ),
    Mutant(
        "duplicate-item-unknown",
        "the refusal of an insertion, because the row is there, is taken for a defect",
        "aws_client/failures.py",
        " DuplicateItem DuplicateItemException\n",
        " DuplicateItemException\n",
    ),
)
