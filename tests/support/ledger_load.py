"""A load on the event store itself, in the background, for tests that disturb the projector meanwhile."""

import random
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from types import TracebackType
from typing import Final, Self

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.events import BettingEvent, FundsDeposited, FundsWithdrawn
from betting.projections.balance_summary import BALANCE_SUMMARY, BalanceSummary
from kinfold.demo.raw_stream import read_raw
from ledger.runtime.aws import Clients
from ledger.store.change_record import decode
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.engine.control_rows import Generations
from projector.engine.read_model import ReadModel
from projector.projection import HEAD, Row
from tests.support.accounts import append, deposits
from tests.support.waiting import PATIENCE, last_seen

#: Seconds without agreement after which the stream is looked at for losses.
_HEALED_AFTER: Final = 30.0


class LedgerLoad:
    """Appends of one to three events to a few accounts, at a steady pace, until the block ends."""

    def __init__(self, clients: Clients, names: Names, *, accounts: int = 6, per_second: float = 25) -> None:
        self._store = EventStore(clients.dynamodb, names.events)
        self._clients, self._names = clients, names
        self._pause = 1 / per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-load", daemon=True)
        self.account_ids = [f"load-{number}" for number in range(accounts)]
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        choose = random.Random(7)
        versions = {account_id: self._store.version(account_id) for account_id in self.account_ids}
        try:
            while not self._stop.wait(self._pause):
                account_id = choose.choice(self.account_ids)
                events: list[BettingEvent] = [FundsDeposited(amount=Decimal("10.01"), currency="EUR")]
                for _ in range(choose.randint(0, 2)):
                    events.append(FundsWithdrawn(amount=Decimal(choose.randint(1, 300)) / 100, currency="EUR"))
                versions[account_id] = append(self._store, account_id, events, versions[account_id]).version
        except BaseException as error:
            self.error = error

    def differences(self, *, heal: bool = True) -> dict[str, tuple[Account, Row[BalanceSummary] | None]]:
        """Accounts whose summary does not come to agree with the account's own fold.

        ``heal``: what the stream itself lost last is healed as a later event heals it.
        """
        deadline = time.monotonic() + PATIENCE
        while (wrong := self._wait_for_agreement(_HEALED_AFTER)) and time.monotonic() < deadline:
            if heal:
                self.heal_losses()
        return wrong

    def _wait_for_agreement(self, within: float) -> dict[str, tuple[Account, Row[BalanceSummary] | None]]:
        # The load has ended, so the events stay as they are.
        accounts = [
            Account.reconstitute(account_id, (event.decode(ACCOUNT) for event in self._store.load(account_id).events))
            for account_id in self.account_ids
        ]
        with ThreadPoolExecutor(2) as executor:
            generation = Generations(self._clients.dynamodb, self._names.projections).read(BALANCE_SUMMARY.name).active
            name = BALANCE_SUMMARY.table(self._names.profile, generation)
            table = ReadModel(self._clients.dynamodb, BALANCE_SUMMARY, name, executor)

            def disagreeing() -> dict[str, tuple[Account, Row[BalanceSummary] | None]]:
                found = table.get_many((account_id, HEAD) for account_id in self.account_ids)
                return {
                    account.account_id: (account, found.get((account.account_id, HEAD)))
                    for account in accounts
                    if account.version and not _agree(account, found.get((account.account_id, HEAD)))
                }

            return last_seen(disagreeing, lambda wrong: not wrong, within=within)

    def heal_losses(self) -> None:
        """Append an event to each account whose last one is not on the stream.

        Not every endpoint's destination delivers everything (LocalStack drops what it cannot put). What the stream
        lost last shows only when a later event arrives; what is on the stream must be projected without that.
        """
        shown = self._on_stream()
        for account_id in self.account_ids:
            version = self._store.version(account_id)
            if version.number and version.number not in shown[account_id]:
                append(self._store, account_id, deposits(), version)

    def _on_stream(self) -> defaultdict[str, set[int]]:
        """The sequence numbers that the stream shows, by account, read from its oldest record on."""
        shown: defaultdict[str, set[int]] = defaultdict(set)
        for _, data in read_raw(self._clients.kinesis, self._names.stream):
            event = decode(data, self._names.events)
            shown[event.aggregate_id].add(event.sequence_number)
        return shown


def _agree(account: Account, row: Row[BalanceSummary] | None) -> bool:
    if row is None or row.state is None or row.halted is not None:
        return False
    return (row.version, row.state.balance, row.state.currency) == (account.version, account.balance, account.currency)
