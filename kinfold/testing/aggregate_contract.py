"""What the machine asks of an aggregate type, as tests."""

import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar, Final

from hypothesis import strategies as st

from kinfold.testing.contract import Contract, for_all
from kinfold.testing.decision import decide, snapshot_of
from kinfold.testing.difference import hold, same
from kinfold.testing.history import History
from kinfold.testing.strategies import histories, ids
from ledger.aggregates.aggregate_type import AggregateTypes, AnyType
from ledger.aggregates.events import UnreadablePayloadError
from ledger.store.stored_event import StoredEvent
from writer.resource import Command

#: What no message may repeat.
_WORD: Final = "s3cr3t-4111-1111"
#: Bytes of an error message: it is logged, and kept in a dead letter.
_LONGEST: Final = 1000


class AggregateContract(Contract):
    """Holds an aggregate type to what writer, snapshots, archive and table rely on. Subclass it, name the two::

        class TestAccount(AggregateContract):
            aggregate = ACCOUNT
            commands = commands(ACCOUNTS, bet_id=st.sampled_from(["b1", "b2"]))

    On histories that these commands bring about, it holds that

    - every event survives its payload and its item, an older payload is read as the same event every time, and one that
      cannot be read is refused without a word of it in the message;
    - a history folds to one state; a copy is apart from what it was copied from; a snapshot at every version, its used
      ids left to the archive, gives back a state that folds on alike;
    - a command changes nothing, brings about events of the union or is refused by a rule that it declares, and decides
      on a snapshot with its used ids in the archive as it decides on the fold;
    - an id is the id of its key, and of no other type's.

    It knows the histories that it tries, no others: what a rule should allow or refuse is for tests of ``given``. It
    starts no writer: concurrency, conflicts and repeats are the machine's own, and tested there.
    """

    aggregate: ClassVar[AnyType]
    commands: ClassVar[st.SearchStrategy[Command[Any]]]

    @property
    def drawn(self) -> st.SearchStrategy[History[Any, Any]]:
        """Histories that the commands bring about."""
        return histories(self.aggregate, self.commands)

    @property
    def kinds(self) -> Iterable[AnyType]:
        """The aggregate type."""
        return (self.aggregate,)

    def test_an_event_survives_its_payload(self) -> None:
        """Whatever was decided is read as it was decided."""

        def holds(history: History[Any, Any]) -> None:
            history.survives()
            for event, stored in zip(history.events, history.stored, strict=True):
                read = self.aggregate.events.decode(stored.event_type, stored.payload.encode(), stored.sequence_number)
                same(event, read, f"{stored.event_type} is read from bytes as another event")
                hold(StoredEvent.from_item(stored.to_item()) == stored, f"its item is of another event: {stored}")

        for_all(holds, self.drawn)

    def test_old_payloads_are_read(self) -> None:
        """A payload of an older schema is an event of today, the same one every time, and survives its payload."""
        for event_type, payload in self.old_events(self.aggregate):
            event, again = (self.aggregate.events.decode(event_type, payload, 7) for _ in range(2))
            same(event, again, f"{event_type}: one payload is read as two events")
            read = self.aggregate.events.decode(event_type, event.payload(), 7)
            same(event, read, f"{event_type}: what is read does not survive its payload")

    def test_what_cannot_be_read_is_refused_and_not_repeated(self) -> None:
        """A newer schema, a broken payload: UnreadablePayloadError, whose message has no word of the payload."""

        def holds(history: History[Any, Any]) -> None:
            for stored in {stored.event_type: stored for stored in history.stored}.values():
                for what, payload in _unreadable(stored.payload).items():
                    self._refuses(stored.event_type, what, payload)
                for name in json.loads(stored.payload):
                    changed = json.loads(stored.payload) | {name: _WORD}
                    self._reads_or_refuses(stored.event_type, f"{name} is another text", json.dumps(changed))
            self._refuses("Unheard", "an unknown type", "{}")

        for_all(holds, self.drawn)

    def test_a_history_folds_to_one_state(self) -> None:
        """Folded twice, a history gives equal states: a state is new, and nothing but the events makes it."""

        def holds(history: History[Any, Any]) -> None:
            first = history.aggregate().state
            before = deepcopy(first)
            second = history.aggregate().state
            same(before, second, "it folds to two states")
            same(before, first, "another fold changes the state of this one")

        for_all(holds, self.drawn)

    def test_a_copy_is_apart(self) -> None:
        """It is the same state, and what becomes of it does not touch what it was copied from."""

        def holds(history: History[Any, Any], cut: int) -> None:
            at = min(cut, len(history.stored))
            one = history.aggregate(at)
            other, before = one.copy(), deepcopy(one.state)
            same(before, other.state, "a copy is another state")
            other.recall_ids(["recalled"])
            for stored in history.stored[at:]:
                other.apply(stored.decode(self.aggregate))
            other.leave_ids(other.version)
            same(before, one.state, "a change of the copy is in both")

        for_all(holds, self.drawn, st.integers(0, 8))

    def test_a_snapshot_gives_its_state_back(self) -> None:
        """At every version, its used ids left to the archive: the same state, and the same one some events later."""
        codec = self.aggregate.snapshots

        def holds(history: History[Any, Any], cut: int) -> None:
            for version in range(1, len(history.stored) + 1):
                past = replace(history, dated=history.dated[:version])
                live, loaded = past.aggregate(), snapshot_of(past)
                live.leave_ids(version)
                same(live.state, loaded.state, f"the snapshot at version {version} is another state")
                for stored in history.stored[version : version + cut]:
                    live.apply(stored.decode(self.aggregate))
                    loaded.apply(stored.decode(self.aggregate))
                same(live.state, loaded.state, f"the snapshot at version {version} folds on otherwise")
                unknown = codec.load(codec.dump(live.state), codec.schema + 1, history.id, live.version)
                hold(unknown is None, f"a snapshot of a schema that is newer than {codec.schema} is read")

        for_all(holds, self.drawn, st.integers(0, 8))

    def test_a_command_changes_nothing(self) -> None:
        """It brings about events of the union, or a refusal that it declares; a snapshot makes no difference to it."""

        def holds(history: History[Any, Any], command: Command[Any]) -> None:
            decide(history, command)

        for_all(holds, self.drawn, self.commands)

    def test_an_id_is_that_of_its_key_and_of_no_other_types(self) -> None:
        """Every id of the rule has a key, which gives it back, and is not one of an aggregate of another type."""
        kind = self.aggregate
        others = [replace(kind, name=name, bare_ids=False) for name in (f"{kind.name}-"[:32], "x")]
        others += [] if kind.bare_ids else [replace(kind, name="bare", bare_ids=True)]
        every = AggregateTypes([kind, *others])

        def holds(aggregate_id: str) -> None:
            key = kind.key(aggregate_id)
            hold(kind.id_of(key) == aggregate_id, f"key {key!r} is that of {kind.id_of(key)!r}")
            hold(every.of_key(key) is kind, f"key {key!r} is one of another type, too")
            for other in others:
                hold(kind.id_of(other.key(aggregate_id)) is None, f"{other.key(aggregate_id)!r} is one of its keys")

        for_all(holds, ids(kind))

    def _refuses(self, event_type: str, what: str, payload: str) -> None:
        read = self._reads_or_refuses(event_type, what, payload)
        hold(not read, f"{event_type} is read from a payload that is none: {what}")

    def _reads_or_refuses(self, event_type: str, what: str, payload: str) -> bool:
        try:
            self.aggregate.events.decode(event_type, payload, 1)
        except UnreadablePayloadError as error:
            message = str(error)
            hold(_WORD not in message, f"{event_type}, {what}: the message repeats the payload")
            hold(error.__cause__ is None, f"{event_type}, {what}: the error's cause holds the payload")
            hold(len(message) <= _LONGEST, f"{event_type}, {what}: a message of {len(message)} characters")
            return False
        return True


def _unreadable(payload: str) -> dict[str, str]:
    """Payloads made of a good one, none of which is an event's."""
    fields = json.loads(payload)
    version = fields["schemaVersion"]
    return {
        "it is empty": "",
        "no JSON": _WORD,
        "it is cut off": f'{{"{_WORD}":"{_WORD}',
        "no object": json.dumps([_WORD]),
        "it is nested without end": "[" * 100_000,
        "a field too many": json.dumps(fields | {_WORD: 1}),
        "a thousand fields too many": json.dumps(fields | {f"foreign{number}": _WORD for number in range(1000)}),
        "a newer schema": json.dumps(fields | {"schemaVersion": version + 1}),
        "a newer schema of another shape": json.dumps({"schemaVersion": version + 1, "secret": _WORD}),
        "schema 0": json.dumps(fields | {"schemaVersion": 0}),
        "a schema that is no number": json.dumps(fields | {"schemaVersion": _WORD}),
    }
