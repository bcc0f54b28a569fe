"""Dead letters: what could never be applied, kept with its reason, origin and raw data until an operator decides.

Natural keys: the projection, aggregate and sequence number of an event, or the place of a record in the stream. So a
redelivery increments ``attempts`` and never makes a second letter.
"""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeGuard

from botocore.exceptions import ClientError

from aws_client.failures import is_condition_failed
from ledger.runtime.aws import aws_errors
from ledger.store.stored_event import timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Bytes of raw data kept: an item holds 400 KB at most, and reason, origin and keys need their room.
MAX_RAW: Final = 350 * 1024
#: Characters of a reason: longer ones of a fold are cut, longer ones of an operator are refused.
MAX_REASON: Final = 2000

#: AWS, "Amazon DynamoDB quotas": bytes of a partition key.
MAX_KEY: Final = 2048

State = Literal["open", "redriven", "skipped"]

_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")
_NOT_SKIPPED: Final = "attribute_not_exists(#state) OR #state <> :skipped"


def is_usable_reason(text: object) -> TypeGuard[str]:
    """Whether ``text`` can be kept as an operator's reason: 1 to MAX_REASON characters, not only blanks.

    Half a surrogate pair, what Python makes of an argument that is not UTF-8, cannot be stored.
    """
    return isinstance(text, str) and 0 < len(text.strip()) <= MAX_REASON and not _HALF_PAIR.search(text)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record came from; for an event or a row, ``stream`` is its table and ``shard_id`` empty."""

    stream: str
    shard_id: str = ""
    record_sequence_number: str = ""

    def __str__(self) -> str:
        if not self.shard_id:
            return f"table {self.stream}"
        return f"stream {self.stream}, shard {self.shard_id}, record {self.record_sequence_number}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One thing that can never be applied.

    ``projection``, ``aggregate_id`` and ``sequence_number`` are None where the record names none. With an aggregate and
    no sequence number, it is a row of the aggregate that cannot be read. ``correlation_id``: that of the event, None
    where no event could be read. ``raw`` is the data as it came; the table
    keeps MAX_RAW bytes of it, and ``origin`` says where to find it whole.
    """

    reason: str
    origin: Origin
    raw: bytes
    projection: str | None = None
    aggregate_id: str | None = None
    sequence_number: int | None = None
    correlation_id: str | None = None

    @property
    def id(self) -> str:
        """The natural key, safe in a URL's path."""
        if self.aggregate_id is not None:
            return f"{self.projection or 'record'}~{self.aggregate_id}~{self.sequence_number or 'row'}"
        return f"{self.origin.stream}~{self.origin.shard_id}~{self.origin.record_sequence_number}"


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter as the table holds it. Times are ISO 8601, UTC."""

    id: str
    letter: DeadLetter
    raw_length: int
    attempts: int
    first_at: str
    last_at: str
    state: State
    resolved_by: str | None = None
    resolved_at: str | None = None
    resolved_why: str | None = None
    #: Token of the redrives that have begun and not ended; None: there is none.
    redrive: str | None = None

    def to_json(self, *, raw: bool = False) -> dict[str, Any]:
        """The letter for an operator; its raw data only on request, as text."""
        letter = self.letter
        shown = {
            "id": self.id,
            "state": self.state,
            "reason": letter.reason,
            "projection": letter.projection,
            "aggregateId": letter.aggregate_id,
            "sequenceNumber": letter.sequence_number,
            "correlationId": letter.correlation_id,
            "origin": str(letter.origin),
            "attempts": self.attempts,
            "firstAt": self.first_at,
            "lastAt": self.last_at,
            "rawLength": self.raw_length,
            "rawCut": self.raw_length > len(letter.raw),
            "resolvedBy": self.resolved_by,
            "resolvedAt": self.resolved_at,
            "resolvedWhy": self.resolved_why,
        }
        return shown | ({"raw": letter.raw.decode(errors="backslashreplace")} if raw else {})


class DeadLetters:
    """The table ``dead-letters-{profile}``. Raises ThrottledError, EndpointError or ResourceError."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def store(self, letter: DeadLetter) -> StoredLetter:
        """Store the letter; a repeated one increments ``attempts``. Returns it as it is now stored.

        A letter that comes again is reopened: it may halt its aggregate. A skipped one stays skipped.
        """
        now = timestamp(datetime.now(UTC))
        values: dict[str, Any] = {
            "reason": {"S": letter.reason[:MAX_REASON]},
            "stream": {"S": letter.origin.stream},
            "shardId": {"S": letter.origin.shard_id},
            "recordSequenceNumber": {"S": letter.origin.record_sequence_number},
            "raw": {"B": letter.raw[:MAX_RAW]},
            "rawLength": {"N": str(len(letter.raw))},
            "lastAt": {"S": now},
        }
        if letter.projection is not None:
            values["projection"] = {"S": letter.projection}
        if letter.aggregate_id is not None:
            values["accountId"] = {"S": letter.aggregate_id}
        if letter.sequence_number is not None:
            values["sequenceNumber"] = {"N": str(letter.sequence_number)}
        if letter.correlation_id is not None:
            values["correlationId"] = {"S": letter.correlation_id}
        sets = ", ".join(f"#{name} = :{name}" for name in values)
        values |= {"one": {"N": "1"}, "open": {"S": "open"}, "skipped": {"S": "skipped"}}
        update = f"SET {sets}, firstAt = if_not_exists(firstAt, :lastAt)"
        counted = "REMOVE redrive ADD attempts :one"
        opened = self._update(letter.id, f"{update}, #state = :open {counted}", _NOT_SKIPPED, values)
        stored = opened or self._update(letter.id, f"{update} {counted}", "attribute_exists(id)", values)
        assert stored is not None
        return stored

    def reopen(self, letter_id: str) -> bool:
        """Let a letter halt its aggregate whatever redrive has begun or ended meanwhile. False for a skipped one."""
        values = {"open": {"S": "open"}, "skipped": {"S": "skipped"}}
        return self._update(letter_id, "SET #state = :open REMOVE redrive", _NOT_SKIPPED, values) is not None

    def is_open(self, letter_id: str) -> dict[str, Any]:
        """The condition that a letter may halt its aggregate, as an action of TransactWriteItems.

        It may until a redrive begins or the event is skipped. So whoever lifts the letter's halts afterwards leaves
        none behind: a halt that is still to be set has to reopen the letter first.
        """
        condition = "#state = :open AND attribute_not_exists(redrive)"
        return {"ConditionCheck": self._request(letter_id, {"open": {"S": "open"}}, ConditionExpression=condition)}

    def begin_redrive(self, letter_id: str) -> str | None:
        """Keep the letter from halting its aggregate. Returns what `end_redrive` needs; redrives at a time share it.

        None for a letter that was skipped: it never halts again.
        """
        values = {"redrive": {"S": uuid.uuid4().hex}, "skipped": {"S": "skipped"}}
        marked = self._update(letter_id, "SET redrive = if_not_exists(redrive, :redrive)", _NOT_SKIPPED, values)
        return marked.redrive if marked is not None else None

    def end_redrive(self, letter_id: str, redrive: str, *, by: str, why: str) -> bool:
        """Record that an operator redrove the letter. False when it was reopened or skipped since the redrive began."""
        return self._resolve(letter_id, "redriven", "redrive = :redrive", {"redrive": {"S": redrive}}, by=by, why=why)

    def skip(self, letter_id: str, *, by: str, why: str) -> None:
        """Record that an operator skipped the letter. Idempotent: the first one's reason is kept."""
        self._resolve(letter_id, "skipped", _NOT_SKIPPED, {"skipped": {"S": "skipped"}}, by=by, why=why)

    def get(self, letter_id: str) -> StoredLetter | None:
        """Read one letter, strongly consistent; None when there is none of this id."""
        if len(letter_id.encode()) > MAX_KEY:
            return None
        with aws_errors(f"reading dead letter {letter_id}"):
            answer = self._dynamodb.get_item(TableName=self._table, Key={"id": {"S": letter_id}}, ConsistentRead=True)
        return _letter(answer["Item"]) if "Item" in answer else None

    def list(self, *, aggregate_id: str | None = None, state: State | None = None) -> Iterator[StoredLetter]:
        """Read all letters, or those of an aggregate, or in a state; in no order. A scan: letters are few."""
        request: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        with aws_errors("listing dead letters"):
            for page in self._dynamodb.get_paginator("scan").paginate(**request):
                for item in page["Items"]:
                    letter = _letter(item)
                    if aggregate_id in (None, letter.letter.aggregate_id) and state in (None, letter.state):
                        yield letter

    def _resolve(
        self, letter_id: str, state: State, condition: str, values: Mapping[str, Any], *, by: str, why: str
    ) -> bool:
        texts = {"state": state, "by": by, "at": timestamp(datetime.now(UTC)), "why": why or "-"}
        update = "SET #state = :state, resolvedBy = :by, resolvedAt = :at, resolvedWhy = :why REMOVE redrive"
        set_to = {name: {"S": text} for name, text in texts.items()}
        return self._update(letter_id, update, condition, {**values, **set_to}) is not None

    def _update(self, letter_id: str, update: str, condition: str, values: Mapping[str, Any]) -> StoredLetter | None:
        """Write to one letter; returns it as it is then. None: the condition does not hold."""
        request = self._request(letter_id, values, UpdateExpression=update, ConditionExpression=condition)
        with aws_errors(f"writing dead letter {letter_id}"):
            try:
                answer = self._dynamodb.update_item(**request, ReturnValues="ALL_NEW")
            except ClientError as error:
                if not is_condition_failed(error):
                    raise
                return None
        return _letter(answer["Attributes"])

    def _request(self, letter_id: str, values: Mapping[str, Any], **expressions: str) -> dict[str, Any]:
        """What names one letter, with the names and, of ``values``, those that the expressions use."""
        text = " ".join(expressions.values())
        return {
            "TableName": self._table,
            "Key": {"id": {"S": letter_id}},
            **expressions,
            "ExpressionAttributeNames": {f"#{name}": name for name in re.findall(r"#(\w+)", text)},
            "ExpressionAttributeValues": {f":{name}": values[name] for name in re.findall(r":(\w+)", text)},
        }


class Skips:
    """The events that operators have skipped, in memory. Safe to share between threads."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters
        self._known: set[tuple[str | None, str | None, int | None]] = set()

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    def load(self) -> None:
        """Read all of them. To be called before the first event is folded."""
        for skipped in self._letters.list(state="skipped"):
            self.add(skipped.letter)

    def reload(self) -> None:
        """Forget all of them and read them again, while nothing is folded."""
        self._known.clear()
        self.load()

    def add(self, letter: DeadLetter) -> None:
        """Skip this letter's event from now on."""
        self._known.add((letter.projection, letter.aggregate_id, letter.sequence_number))

    def of(self, projection: str) -> Callable[[str, int], bool]:
        """Whether a projection skips an event of an aggregate."""
        known = self._known
        return lambda aggregate_id, sequence_number: (
            bool(known) and (projection, aggregate_id, sequence_number) in known
        )


def _letter(item: Mapping[str, Any]) -> StoredLetter:
    def text(name: str) -> str | None:
        return str(item[name]["S"]) if name in item else None

    letter = DeadLetter(
        reason=item["reason"]["S"],
        origin=Origin(item["stream"]["S"], item["shardId"]["S"], item["recordSequenceNumber"]["S"]),
        raw=bytes(item["raw"]["B"]),
        projection=text("projection"),
        aggregate_id=text("accountId"),
        sequence_number=int(item["sequenceNumber"]["N"]) if "sequenceNumber" in item else None,
        correlation_id=text("correlationId"),
    )
    return StoredLetter(
        id=item["id"]["S"],
        letter=letter,
        raw_length=int(item["rawLength"]["N"]),
        attempts=int(item["attempts"]["N"]),
        first_at=item["firstAt"]["S"],
        last_at=item["lastAt"]["S"],
        state=text("state") or "open",  # type: ignore[arg-type]
        resolved_by=text("resolvedBy"),
        resolved_at=text("resolvedAt"),
        resolved_why=text("resolvedWhy"),
        redrive=text("redrive"),
    )
