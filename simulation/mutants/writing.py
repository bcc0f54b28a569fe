"""Faults of the writers: the event store, idempotency keys, snapshots, and the rules of an account."""

from __future__ import annotations

from typing import Final

from simulation.mutants.mutant import Mutant

_EVENTS: Final = "ledger/store/event_store.py"
_TRANSACTIONS: Final = "ledger/store/transactions.py"
_KEYS: Final = "ledger/store/idempotency_keys.py"
_HANDLER: Final = "writer/commands/handler.py"
_REPOSITORY: Final = "writer/commands/account_repository.py"

WRITING: Final = (
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
        "proven = isinstance(expected, ProvenVersion) or number == 0",
        "proven = True",
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
        "meaning = json.dumps([account_id, command.name, *texts])",
        "meaning = json.dumps([command.name, *texts[:0]])",
    ),
    Mutant(
        "command-unrecorded",
        "the record of a command's key is left out of its transaction",
        _TRANSACTIONS,
        "            actions.append(self.command.action())",
        "            pass",
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
        "            replay = self._replay(request, entry)\n            if replay is None:\n                raise\n",
        "            replay = None\n            if replay is None:\n                raise\n",
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
        "history = self._store.load(account_id, after=found.version, until=until)",
        "history = self._store.load(account_id, after=found.version + 1, until=until)",
    ),
    Mutant(
        "snapshot-of-another-version",
        "a snapshot counts as one version older than what it holds",
        "ledger/store/snapshots.py",
        "return Snapshot(Account(account_id, version, state.currency,",
        "return Snapshot(Account(account_id, version - 1, state.currency,",
    ),
    Mutant(
        "stale-decision",
        "after a conflict a command is decided on the account as it was before",
        _REPOSITORY,
        "return _folded(loaded.account, self._store.load(loaded.account.account_id, after=loaded.account.version))",
        "return LoadedAccount(loaded.account, self._store.version(loaded.account.account_id))",
    ),
    Mutant(
        "overdraft",
        "an account pays out a little more than it has",
        "ledger/domain/account.py",
        "if asked > self.balance:",
        "if asked > self.balance + 5:",
    ),
    Mutant(
        "settled-bet-placed-again",
        "a bet that was settled may be placed once more",
        "ledger/domain/account.py",
        "if bet_id in self.open_bets or bet_id in self.settled_bets:",
        "if bet_id in self.open_bets:",
    ),
    Mutant(
        "history-read-inconsistently",
        "histories are read eventually consistent: by commands, and by what repairs a gap",
        _EVENTS,
        "            ConsistentRead=True,\n            **options,",
        "            ConsistentRead=False,\n            **options,",
    ),
)
