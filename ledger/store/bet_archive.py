"""The archive of settled bets: what an account's state leaves to it, so that the state does not grow for ever.

An item a bet, in the table of the snapshots, since neither is worth anything without the other: ``aggregateId`` names
the account and the bet, ``sequenceNumber`` the event that settled it. Whoever finds one looks at that event: where a
restore of the events table has lost it, the item is worth nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aws_client.batch_reads import MAX_KEYS, BatchRead, chunks
from aws_client.batch_writes import MAX_PUTS, BatchPut
from ledger.domain.events import BetSettled
from ledger.runtime.aws import aws_errors, retrying
from ledger.store.parallel_scan import Item
from ledger.store.stored_event import StoredEvent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: No account id has it in it.
_MARK: Final = "#"
#: For how long a throttled put is tried again. Nobody waits for it.
_RETRY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class ArchivedBet:
    """A bet that event ``settled_at`` of its account settled, as the archive has it."""

    account_id: str
    bet_id: str
    settled_at: int

    def is_settled_by(self, event: StoredEvent) -> bool:
        """Whether the event that is stored at the number is the one that settled the bet.

        Raises CorruptHistoryError for one that cannot be read.
        """
        settled = event.decode()
        return isinstance(settled, BetSettled) and settled.bet_id == self.bet_id

    @classmethod
    def from_item(cls, item: Item) -> "ArchivedBet | None":
        """Read an item of the snapshots' table; None for a snapshot."""
        account_id, mark, bet_id = item["aggregateId"]["S"].partition(_MARK)
        return cls(account_id, bet_id, int(item["sequenceNumber"]["N"])) if mark else None


@dataclass(frozen=True, slots=True)
class BetArchive:
    """The archive in ``snapshots-{profile}``. Safe to share between threads.

    Raises ThrottledError, EndpointError, ResourceError.
    """

    dynamodb: "DynamoDBClient"
    table: str

    def store(self, account_id: str, settled: Mapping[str, int]) -> None:
        """Archive bets, each by the number of the event that settled it: all are durable at the end. Idempotent."""
        for some in chunks(list(settled.items()), MAX_PUTS):
            items = [{**_key(account_id, bet_id), "sequenceNumber": {"N": str(number)}} for bet_id, number in some]
            put = BatchPut(self.dynamodb, self.table, items)
            for attempt in retrying(_RETRY_SECONDS):
                with attempt, aws_errors(f"archiving {len(some)} bets of {account_id}"):
                    put()

    def find(self, account_id: str, bet_ids: Iterable[str]) -> list[ArchivedBet]:
        """Those of the bets that are archived, strongly consistent."""
        found: list[ArchivedBet | None] = []
        for keys in chunks([_key(account_id, bet_id) for bet_id in bet_ids], MAX_KEYS):
            read = BatchRead(self.dynamodb, self.table, keys, ConsistentRead=True)
            with aws_errors(f"looking for {len(keys)} bets of {account_id}"):
                found += map(ArchivedBet.from_item, read())
        return [each for each in found if each is not None]


def _key(account_id: str, bet_id: str) -> dict[str, Any]:
    return {"aggregateId": {"S": f"{account_id}{_MARK}{bet_id}"}}
