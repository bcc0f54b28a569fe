"""Faults of whoever puts events on the stream: the relay, the watch and backfills."""

from __future__ import annotations

from typing import Final

from simulation.mutants.mutant import Mutant

_WRITER: Final = "faust_kinesis/sending/ordered_writer.py"
_WATCH: Final = "stream_bridge/watch/daemon.py"

SENDING: Final = (
    Mutant(
        "no-lookback",
        "a relay that takes over puts an event without those that the stream of the table shows later",
        "stream_bridge/relay/ordering.py",
        "    reached = sent or 0\n    if sent is None and numbers[0] > 1:\n"
        "        found.append(Missing(None, numbers[0] - 1))\n        reached = numbers[0]\n",
        "    reached = numbers[0] if sent is None else sent\n",
    ),
    Mutant(
        "relay-gap-not-filled",
        "the relay puts an event before an earlier one that it knows to be missing",
        "stream_bridge/relay/ordering.py",
        "        if number > reached + 1:\n",
        "        if number > reached + 100:\n",
    ),
    Mutant(
        "several-of-an-aggregate-in-a-call",
        "one call puts several records of an aggregate, of which Kinesis may refuse the first and take the second",
        "faust_kinesis/sending/put_queue.py",
        "            record = waiting[0]\n"
        "            if not fits(record, len(chosen), size):\n"
        "                break\n"
        "            chosen.append(record)\n"
        "            size += record.size\n",
        "            for record in waiting:\n"
        "                if not fits(record, len(chosen), size):\n"
        "                    break\n"
        "                chosen.append(record)\n"
        "                size += record.size\n",
    ),
    Mutant(
        "refused-records-settled",
        "records that Kinesis has refused leave the queue",
        _WRITER,
        "        await self._settle([record for record, _ in outcome.taken])\n",
        "        await self._settle(records)\n",
    ),
    Mutant(
        "relay-checkpoint-before-put",
        "the relay's checkpoint passes records before Kinesis has them",
        "stream_bridge/relay/shard.py",
        "            for change, put in sent:\n"
        "                await self._put(change, put)\n"
        "            self._health.put(len(page.records))\n"
        "            self._tracker.complete(ticket)\n",
        "            self._tracker.complete(ticket)\n"
        "            self._changed.set()\n"
        "            for change, put in sent:\n"
        "                await self._put(change, put)\n"
        "            self._health.put(len(page.records))\n",
    ),
    Mutant(
        "relay-begins-at-the-tip",
        "the relay reads a new shard of the table's stream from its end",
        "stream_bridge/relay/checkpoints.py",
        "            TRIM_HORIZON,\n",
        '            "LATEST",\n',
    ),
    Mutant(
        "missing-forgotten",
        "the watch no longer expects an event that it has not put yet",
        _WATCH,
        "        lost = await self._calls.once(self._republisher.put, keys)\n",
        "        self.reconciler.forget(keys)\n        lost = await self._calls.once(self._republisher.put, keys)\n",
    ),
    Mutant(
        "watermark-passes-the-missing",
        "the next watch begins behind events that the stream has not shown",
        "stream_bridge/watch/reconciler.py",
        "        return next(iter(self._waiting.values())).number - 1 if self._waiting else self.taken\n",
        "        return self.taken\n",
    ),
    Mutant(
        "destination-not-enabled",
        "the watch sees that the destination is off, and leaves it",
        _WATCH,
        "        for warning in await self._calls.once(self._inspector.enable):\n",
        "        for warning in ():\n",
    ),
    Mutant(
        "refused-records-forgotten",
        "a backfill forgets the records that Kinesis has refused",
        "stream_bridge/backfill/publisher.py",
        "            waiting, pause = outcome.refused, backoff.after(outcome)\n",
        "            waiting, pause = [], backoff.after(outcome)\n",
    ),
)
