"""Snapshots: an account's fold at a version, so that a load need not read the events before it.

A snapshot is a copy that can always be made anew from the events. It is used only when it is of this schema and
readable, and the event that it ends at is the one that is stored; otherwise it costs time, never correctness.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from aws_client.tables import unchanged, write_if
from ledger.domain.account import Account
from ledger.domain.money import Currency
from ledger.runtime.aws import aws_errors
from ledger.store.bet_archive import BetArchive
from ledger.store.errors import SnapshotError
from ledger.store.parallel_scan import Item
from ledger.store.stored_event import timestamp
from ledger.store.transactions import MAX_ITEM_BYTES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Raise it with every change to the fold (``Account.apply``) or to the state below: a snapshot of another schema is
#: never used, and the next one replaces it.
SCHEMA_VERSION: Final = 2
#: A schema that held every bet that was ever settled, and not where. Its snapshots are read where they have none.
_SCHEMAS: Final = (1, SCHEMA_VERSION)
#: Room in an item for everything but the state: keys, numbers, a time.
_OVERHEAD: Final = 1024


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, frozen=True)

    version: int = Field(ge=1)
    currency: Currency | None
    balance: Decimal
    open_bets: dict[str, Decimal]
    settled_bets: list[str] = []
    has_archive: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An account, and the hash of the event that its fold ends at; None in one that was stored without."""

    account: Account
    event_hash: str | None


@dataclass(frozen=True, slots=True)
class SnapshotStore:
    """Snapshots in ``snapshots-{profile}``, one an account. Safe to share between threads."""

    dynamodb: "DynamoDBClient"
    table: str

    @property
    def archive(self) -> BetArchive:
        """The settled bets that the snapshots leave out."""
        return BetArchive(self.dynamodb, self.table)

    def find(self, account_id: str) -> Item | None:
        """Read the account's snapshot, for ``decode``; None when it has none.

        Raises ThrottledError, EndpointError, ResourceError.
        """
        with aws_errors(f"reading the snapshot of {account_id}"):
            return self.dynamodb.get_item(TableName=self.table, Key=_key(account_id), ConsistentRead=True).get("Item")

    def save(self, snapshot: Snapshot) -> bool:
        """Store an account's snapshot; False when one of the same or a later version is there, which stays.

        Raises SnapshotError when it is larger than an item can be, and ThrottledError, EndpointError, ResourceError.
        """
        item = encode(snapshot)
        with aws_errors(f"storing the snapshot of {snapshot.account.account_id}"):
            return write_if(
                self.dynamodb.put_item,
                TableName=self.table,
                Item=item,
                ConditionExpression="attribute_not_exists(aggregateId) OR #version < :version",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={":version": item["version"]},
            )

    def discard(self, account_id: str, worthless: Item) -> bool:
        """Delete a snapshot that no event proves; False when another one is there by now, which stays.

        Raises ThrottledError, EndpointError, ResourceError.
        """
        condition = unchanged(worthless, ("version", "createdAt", "eventHash"))
        with aws_errors(f"deleting the snapshot of {account_id}"):
            return write_if(self.dynamodb.delete_item, TableName=self.table, Key=_key(account_id), **condition)


def crosses(before: int, after: int, interval: int) -> bool:
    """Whether an append from version ``before`` to ``after`` reaches or passes a multiple of ``interval``.

    0 switches snapshots off. An append of several events may jump over the multiple itself.
    """
    return interval > 0 and after // interval > before // interval


def encode(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Write a snapshot as a DynamoDB item. Raises SnapshotError when it would be too large.

    Its account's settled bets are in the archive (``Account.archive``).
    """
    account = snapshot.account
    if account.settled_bets:
        raise ValueError(f"settled bets of {account.account_id} are not in the archive")
    state = _State.model_construct(
        version=account.version,
        currency=account.currency,
        balance=account.balance,
        open_bets=account.open_bets,
        has_archive=account.has_archive,
    ).model_dump_json(by_alias=True, exclude={"settled_bets"})
    if len(state.encode()) > MAX_ITEM_BYTES - _OVERHEAD:
        raise SnapshotError(
            f"the snapshot of {account.account_id} at version {account.version} has {len(state)} bytes; DynamoDB "
            f"stores at most {MAX_ITEM_BYTES}. Its loads read all events since its last snapshot.",
            reason="too_large",
        )
    return {
        "aggregateId": {"S": account.account_id},
        "version": {"N": str(account.version)},
        "schemaVersion": {"N": str(SCHEMA_VERSION)},
        "state": {"S": state},
        "createdAt": {"S": timestamp(datetime.now(UTC))},
        **({"eventHash": {"S": snapshot.event_hash}} if snapshot.event_hash else {}),
    }


def decode(account_id: str, item: Item) -> Snapshot:
    """Read a snapshot; whether the events agree is not known.

    Raises SnapshotError, which never repeats the state, for one of another schema and for an unreadable one.
    """
    try:
        schema, version = int(item["schemaVersion"]["N"]), int(item["version"]["N"])
        state = _State.model_validate_json(item["state"]["S"]) if schema in _SCHEMAS else None
        if state is None or state.settled_bets:
            raise SnapshotError(
                f"the snapshot of {account_id} is of schema {schema}, and this code knows {SCHEMA_VERSION}",
                reason="schema",
            )
        event_hash = item["eventHash"]["S"] if "eventHash" in item else None
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(account_id, type(error).__name__) from None
    if state.version != version:
        raise _unreadable(account_id, "it gives two versions")
    account = Account(
        account_id,
        version,
        state.currency,
        state.balance,
        open_bets=dict(state.open_bets),
        has_archive=state.has_archive,
    )
    return Snapshot(account, event_hash)


def _key(account_id: str) -> dict[str, Any]:
    return {"aggregateId": {"S": account_id}}


def _unreadable(account_id: str, reason: str) -> SnapshotError:
    return SnapshotError(f"the snapshot of {account_id} cannot be read: {reason}", reason="unreadable")
