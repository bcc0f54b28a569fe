"""A load on a writer over HTTP, for tests that disturb what is behind it: a command counts once, whatever happens."""

import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

import httpx

from tests.support.waiting import PATIENCE, until

ACCOUNTS: Final = 4
#: Seconds between two commands, and between two attempts at one.
_PAUSE: Final = 0.5


class WriterLoad:
    """Deposits of 1.00 on a few accounts, one after the other. A command is sent under its key until it is answered."""

    def __init__(self, url: Callable[[], str], name: str, headers: dict[str, str]) -> None:
        """``url`` says where the writer is by now. ``name`` begins the ids of the accounts, which must be new.

        ``headers`` come with every request.
        """
        self._url = url
        self._name = name
        self._headers = headers
        self._http = httpx.Client(headers=headers, trust_env=False, timeout=10)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer-load", daemon=True)
        self._error: BaseException | None = None
        #: Deposits that were answered with 201, by account.
        self.accepted: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(60)
        self._http.close()
        if kind is None and self._error is not None:
            raise self._error
        assert kind is not None or not self._thread.is_alive(), "the last command is not answered"

    def wait_for_more(self, count: int = 3, *, within: float = PATIENCE) -> None:
        """Wait until so many more commands are accepted."""
        enough = self.accepted.total() + count
        until(lambda: self.accepted.total() >= enough or self._error is not None, within=within)

    def _run(self) -> None:
        try:
            number = 0
            while not self._stop.wait(_PAUSE):
                account_id = f"{self._name}-{number % ACCOUNTS}"
                self._deposit(account_id)
                self.accepted[account_id] += 1
                number += 1
        except BaseException as error:
            self._error = error

    def _deposit(self, account_id: str) -> None:
        body, key = {"amount": "1.00", "currency": "EUR"}, {"Idempotency-Key": uuid4().hex}
        url = self._url()
        while True:
            try:
                answer = self._http.post(f"{url}/accounts/{account_id}/deposits", json=body, headers=key)
                if answer.status_code == 201:
                    return
                # 409: the attempt before, whose answer was lost, is still at work.
                assert answer.status_code in {409, 503}, answer.text
            except (httpx.TransportError, httpx.InvalidURL):
                url = self._url()  # killed, paused or cut off
            threading.Event().wait(_PAUSE)

    def differences(self, writer: str, projector: str, *, within: int = 60) -> dict[str, str]:
        """What writer and projector say of those accounts of which they do not say what was accepted."""
        wrong = {}
        with httpx.Client(headers=self._headers, trust_env=False, timeout=within + 10) as http:
            for account_id, count in self.accepted.items():
                balance = f"{projector}/balances/{account_id}?min_version={count}&wait={within}"
                for url in (f"{writer}/accounts/{account_id}", balance):
                    answer = http.get(url)
                    if answer.status_code != 200 or not _says(answer.json(), count):
                        wrong[f"{url}: not {count}"] = answer.text
        return wrong


def _says(account: dict[str, object], count: int) -> bool:
    return (account["version"], account["balance"]) == (count, f"{count}.00")
