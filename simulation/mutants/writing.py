"""Faults of the writers: the event store, idempotency keys, snapshots, and the rules of an account."""

from __future__ import annotations

from typing import Final

from simulation.mutants.mutant import Mutant

_EVENTS: Final = "ledger/store/event_store.py"
_TRANSACTIONS: Final = "ledger/store/transactions.py"
_KEYS: Final = "ledger/store/idempotency_keys.py"
_HANDLER: Final = "writer/commands/handler.py"
_GROUPS: Final = "writer/commands/group_commit.py"
_REPOSITORY: Final = "writer/commands/aggregate_repository.py"
_ACCOUNT: Final = "betting/account.py"

WRITING: Final = (
    Mutant(
        "one-key-for-two-types",
        "aggregates of two types that have one id have one key",
        "ledger/aggregates/aggregate_type.py",
        'return aggregate_id if self.bare_ids else f"{self.name}{MARK}{aggregate_id}"',
        "return aggregate_id",
    ),
    Mutant(
        "put-unconditional",
        "a single event is put without the condition that its number is free",
        _TRANSACTIONS,
        "                    ConditionExpression=_FREE,\n",
        "",
    ),
    Mutant(
        "transaction-unconditional",
        "the events of a transaction are put without the condition that their numbers are free",
        _TRANSACTIONS,
        '"Item": event.to_item(), "ConditionExpression": _FREE}',
        '"Item": event.to_item()}',
    ),
    Mutant(
        "claim-unchecked",
        "a claimed version is not checked: one ahead of the truth makes a hole",
        _EVENTS,
        "proven = number == 0 or (",
        "proven = True or (",
    ),
    Mutant(
        "own-append-unrecognised",
        "an append whose answer was lost is reported as a conflict with itself, and carried out again",
        _EVENTS,
        "if not (failed.resent and self._holds(stored)):",
        "if True:",
    ),
    Mutant(
        "foreign-event-taken-for-ours",
        "after a lost answer, whatever is stored under the number is taken for our own event",
        _EVENTS,
        "if not (failed.resent and self._holds(stored)):",
        "if not failed.resent:",
    ),
    Mutant(
        "resend-forgotten",
        "a write that the store itself has sent again does not count as sent before",
        _EVENTS,
        "failed.resent |= retries > 0",
        "failed.resent |= False",
    ),
    Mutant(
        "fingerprint-unchecked",
        "a key that stands for another command gets that command's answer",
        _HANDLER,
        "if found.fingerprint != request.key.fingerprint:",
        "if not found.fingerprint:",
    ),
    Mutant(
        "fingerprint-of-the-kind-alone",
        "the fingerprint of a command leaves out its account and its amounts",
        "writer/commands/idempotency.py",
        "meaning = json.dumps([aggregate_id, command.name, *values])",
        "meaning = json.dumps([command.name, len(values)])",
    ),
    Mutant(
        "command-unrecorded",
        "the record of a command's key is left out of its transaction",
        _TRANSACTIONS,
        "        actions += [command.action() for command in self.commands]\n",
        "",
    ),
    Mutant(
        "record-overwritten",
        "the record of a key is put although the key is taken",
        _KEYS,
        'condition = "attribute_not_exists(commandId) OR expiresAt <= :now"',
        'condition = "attribute_not_exists(commandId) OR expiresAt <= :now OR expiresAt > :now"',
    ),
    Mutant(
        "record-expires-at-once",
        "the record of a key is stored as if its retention was over",
        _KEYS,
        '"expiresAt": {"N": str(now + int(self._retention))},',
        '"expiresAt": {"N": str(now)},',
    ),
    Mutant(
        "live-record-taken-for-expired",
        "a record that is good for a day is not found a moment later",
        _KEYS,
        'int(item["expiresAt"]["N"]) <= self._clock()',
        'int(item["expiresAt"]["N"]) - int(self._retention) <= self._clock()',
    ),
    Mutant(
        "replay-ignored",
        "a command that was recorded meanwhile is refused, rather than answered as recorded",
        _HANDLER,
        "            # An earlier request with the same key may have been accepted: then this is its answer, and no "
        "refusal.\n            replay = self._replay(waiting)\n",
        "            replay = None\n",
    ),
    Mutant(
        "snapshot-ahead-trusted",
        "a snapshot is used although the events do not reach its version",
        _REPOSITORY,
        "if history.version.number < found.version:",
        "if history.version.number < 0:",
    ),
    Mutant(
        "event-after-snapshot-left-out",
        "the first event after a snapshot is not folded",
        _REPOSITORY,
        "return _folded(found, history)",
        "return _folded(replace(found, version=min(found.version + 1, history.version.number)), "
        "replace(history, events=history.events[1:]))",
    ),
    Mutant(
        "snapshot-of-another-version",
        "a snapshot counts as one version older than what it holds",
        "ledger/store/snapshots.py",
        "return Snapshot(Aggregate(kind, aggregate_id, version, state), event_hash)",
        "return Snapshot(Aggregate(kind, aggregate_id, version - 1, state), None)",
    ),
    Mutant(
        "stale-decision",
        "after a conflict a command is decided on the account as it was before",
        _REPOSITORY,
        "replace(_folded(aggregate.copy(), history), archived",
        "replace(Loaded(aggregate, history.version), archived",
    ),
    Mutant(
        "refusal-of-a-held-account",
        "a command is refused by the account as it is in memory, though another writer may have been at it",
        _GROUPS,
        "if not (decision.accepted or fresh):",
        "if False:",
    ),
    Mutant(
        "refusal-before-its-group-is-stored",
        "a command is refused by what a group would make of the account, whether or not that is stored",
        _GROUPS,
        "decision.refused.append((each, error))",
        "each.fail(error)",
    ),
    Mutant(
        "twins-in-a-group",
        "two requests with one key in a group are two commands",
        _GROUPS,
        "if key is not None and key.command_id in first_of_key:",
        "if key is None and first_of_key.keys() < set():",
    ),
    Mutant(
        "one-correlation-id-a-group",
        "the events of a group are stored under the correlation id of its first command",
        _GROUPS,
        "draft.add(events, request.correlation_id)",
        "draft.add(events, waiting[0].request.correlation_id)",
    ),
    Mutant(
        "one-state-a-group",
        "each command of a group is decided on the account as it was before all of them",
        _GROUPS,
        "events = request.command.decide(aggregate.state)",
        "events = request.command.decide(before.state)",
    ),
    Mutant(
        "overdraft",
        "an account pays out a little more than it has",
        _ACCOUNT,
        "if asked > self.balance:",
        "if asked > self.balance + 5:",
    ),
    Mutant(
        "settled-bet-placed-again",
        "a bet that was settled may be placed once more",
        _ACCOUNT,
        "if bet_id in self.open_bets or bet_id in self.settled_bets:",
        "if bet_id in self.open_bets:",
    ),
    Mutant(
        "archive-not-asked",
        "a bet that was settled before the last snapshot may be placed once more",
        _REPOSITORY,
        "used is not None and used.may_be_archived(used_id)]",
        "used is None]",
    ),
    Mutant(
        "snapshot-without-archive",
        "a snapshot leaves settled bets out that nobody archives",
        "writer/commands/snapshot_writer.py",
        "        self._store.archive.store(aggregate.key, used.since(until.version))\n",
        "",
    ),
    Mutant(
        "unprocessed-puts-forgotten",
        "bets that DynamoDB has left unprocessed count as archived",
        "aws_client/batch_writes.py",
        '            self._left = list(answer.get("UnprocessedItems", {}).get(self._table, []))\n',
        "            self._left = []\n",
    ),
    Mutant(
        "history-read-inconsistently",
        "histories are read eventually consistent: by commands, and by what repairs a gap",
        _EVENTS,
        "                    ConsistentRead=True,\n                    **options,",
        "                    ConsistentRead=False,\n                    **options,",
    ),
)
