"""The writer killed at random under load, its clients retrying with their keys: every command counts once."""

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from betting.account import Account
from betting.account_type import ACCOUNT
from ledger.store.event_store import EventStore
from tests.integration.writer.writer_process import WriterProcess

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: 22 by hand, fewer in every run.
KILLS = int(os.environ.get("KILLS", "10"))
CLIENTS = 6
ACCOUNTS = ("alice", "bob", "carol")
#: One account, so that whenever the writer is killed, a group is on its way.
HOT_CLIENTS, HOT = 16, ("alice",)


class Client:
    """Deposits one unit after the other, each until it is answered; the correlation id names the command."""

    def __init__(self, name: str, url: str, accounts: tuple[str, ...], stop: threading.Event) -> None:
        self._name, self._url, self._accounts, self._stop = name, url, accounts, stop
        self.confirmed: dict[str, dict[str, Any]] = {}
        self.resent = self.replayed = 0
        self.unexpected: list[str] = []
        self.unanswered: str | None = None
        self.thread = threading.Thread(target=self._run, name=name)
        self.thread.start()

    def _run(self) -> None:
        choose = random.Random(self._name)
        with httpx.Client(base_url=self._url, timeout=20, trust_env=False) as http:
            number = 0
            while not self._stop.is_set():
                number += 1
                self._carry_out(http, f"{self._name}-{number}", choose.choice(self._accounts))

    def _carry_out(self, http: httpx.Client, key: str, account: str) -> None:
        headers = {"Idempotency-Key": key, "X-Correlation-ID": key}
        patience = time.monotonic() + 60
        while time.monotonic() < patience:
            try:
                answer = http.post(
                    f"/accounts/{account}/deposits", json={"amount": "1.00", "currency": "EUR"}, headers=headers
                )
            except httpx.TransportError:
                self.resent += 1
                time.sleep(0.02)
                continue
            if answer.status_code == 201:
                self.replayed += "idempotency-replayed" in answer.headers
                self.confirmed[key] = answer.json()
                return
            if answer.status_code not in (409, 503):
                self.unexpected.append(answer.text)
                return
            time.sleep(0.05)
        self.unexpected.append(f"{key} was not answered for a minute")


@pytest.mark.parametrize(
    ("client_count", "accounts"), [(CLIENTS, ACCOUNTS), (HOT_CLIENTS, HOT)], ids=["accounts", "one hot account"]
)
def test_killed_at_random_each_command_counts_once(
    child_env: dict[str, str], store: EventStore, tmp_path: Path, client_count: int, accounts: tuple[str, ...]
) -> None:
    choose, stop = random.Random(4711), threading.Event()
    writer = WriterProcess(child_env, tmp_path / "writer.log", snapshot_interval=7)
    with writer:
        clients = [Client(f"client{n}", writer.url, accounts, stop) for n in range(client_count)]
        try:
            for _ in range(KILLS):
                time.sleep(choose.uniform(0.05, 0.5))
                writer.kill()
            time.sleep(0.3)
        finally:
            stop.set()
            for client in clients:
                client.thread.join()
    assert [fault for client in clients for fault in client.unexpected] == []

    confirmed = {key: body for client in clients for key, body in client.confirmed.items()}
    stored = [event for account in accounts for event in store.load(account).events]
    times = Counter(event.correlation_id for event in stored)
    assert times == Counter(dict.fromkeys(confirmed, 1)), "a command is stored twice, or not at all"
    by_command = {event.correlation_id: event for event in stored}
    for key, body in confirmed.items():
        [event] = body["events"]
        assert event["sequenceNumber"] == body["version"] == by_command[key].sequence_number
    for account in accounts:
        events = store.load(account).events
        assert Account.reconstitute(account, (event.decode(ACCOUNT) for event in events)).balance == len(events)
    assert sum(client.resent for client in clients) >= KILLS, "the kills met no command: this run proves nothing"
    assert sum(client.replayed for client in clients) > 0, "no kill fell between a write and its answer"
    if accounts == HOT:
        times_stored = Counter(event.occurred_at for event in stored)
        assert max(times_stored.values()) > 2, "no commands were stored together: this run proves nothing"
