"""Readers that poll the projector's balances all the time, and what they saw against the event store."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Self

from betting.account import Account
from betting.account_type import ACCOUNT
from ledger.store.event_store import EventStore


@dataclass(frozen=True)
class Sight:
    """One answer. ``version`` and ``balance`` are None for an account that was missing. Times are monotonic."""

    account_id: str
    asked_at: float
    version: int | None
    balance: str | None


class BalanceReaders:
    """Two readers, each going round all accounts, until the block ends."""

    def __init__(self, url: str, account_ids: Sequence[str]) -> None:
        self._url = url
        self._account_ids = account_ids
        self._stop = threading.Event()
        self.seen: list[list[Sight]] = [[], []]
        self._threads = [threading.Thread(target=self._run, args=(seen,)) for seen in self.seen]
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, seen: list[Sight]) -> None:
        while not self._stop.is_set():
            for account_id in self._account_ids:
                asked_at = time.monotonic()
                try:
                    with urllib.request.urlopen(f"{self._url}/balances/{account_id}", timeout=10) as answer:
                        body = json.load(answer)
                    seen.append(Sight(account_id, asked_at, body["version"], body["balance"]))
                except urllib.error.HTTPError as error:
                    with error:
                        if error.code == 404:
                            seen.append(Sight(account_id, asked_at, None, None))
                        else:
                            self.errors.append(f"{account_id}: {error.code}")
                except OSError as error:
                    self.errors.append(f"{account_id}: {error}")
                self._stop.wait(0.02)

    def wrong(self, store: EventStore) -> list[Sight]:
        """The answers that are not the fold of the events up to their version."""
        right: set[tuple[str, int, Decimal]] = set()
        for account_id in self._account_ids:
            account = Account(account_id)
            for event in store.read(account_id):
                account.apply(event.decode(ACCOUNT))
                right.add((account_id, account.version, account.balance))
        return [
            sight
            for seen in self.seen
            for sight in seen
            if sight.version is not None and (sight.account_id, sight.version, Decimal(str(sight.balance))) not in right
        ]

    def missing(self, since: float = 0) -> list[Sight]:
        """The answers to questions asked after ``since`` that there is no such account."""
        return [sight for seen in self.seen for sight in seen if sight.version is None and sight.asked_at > since]

    def gone_back(self) -> list[tuple[Sight, Sight]]:
        """Answers of an older version, or of none, than the same reader had seen before."""
        found = []
        for seen in self.seen:
            last: dict[str, Sight] = {}
            for sight in seen:
                before = last.get(sight.account_id)
                if before is not None and (before.version or 0) > (sight.version or 0):
                    found.append((before, sight))
                last[sight.account_id] = sight
        return found
