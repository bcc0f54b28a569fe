"""The load: commands over kept connections, one at a time on each, with a clock of its own."""

import asyncio
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import orjson

#: Seconds before a client whose command was turned away sends the next one.
_PAUSE: Final = 0.05
_DEPOSIT: Final = {"amount": "1.00", "currency": "EUR"}


@dataclass(slots=True)
class Outcome:
    """What a load came to. ``millis``: from sending to the whole answer, of each command that was accepted."""

    seconds: float = 0.0
    millis: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        """How many commands were carried out."""
        return self.statuses[201]

    def figures(self) -> dict[str, Any]:
        """As the result file keeps them."""
        turned_away = {str(status): count for status, count in self.statuses.items() if status != 201}
        return {
            "accepted": self.accepted,
            "turned_away": turned_away,
            "seconds": self.seconds,
            "per_second": self.accepted / self.seconds,
            "p50_millis": percentile(self.millis, 50),
            "p99_millis": percentile(self.millis, 99),
        }


def percentile(values: list[float], share: int) -> float:
    """The value below which so many percent are."""
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1] if len(values) > 1 else values[0]


class Client:
    """One kept connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Send a request; gives the status and the body of its answer."""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("\r\ncontent-length: ")[2].partition("\r\n")[0])
        return int(head.split(" ", 2)[1]), await self._reader.readexactly(length)

    async def command(self, account_id: str, action: str, body: dict[str, str], *, key: bool = False) -> int:
        """Send a command; gives the status of its answer."""
        headers = {"Content_Type": "application/json"} | ({"Idempotency_Key": uuid4().hex} if key else {})
        return (await self.ask("POST", f"/accounts/{account_id}/{action}", orjson.dumps(body), **headers))[0]

    def close(self) -> None:
        """End the connection."""
        self._writer.close()


def run_load(port: int, accounts: list[Iterator[str]], seconds: float, *, keys: bool) -> Outcome:
    """Deposits on the accounts that each client draws, one after the other, for so many seconds at most.

    Each client sends one at least.
    """
    return asyncio.run(_run(port, accounts, seconds, keys=keys))


async def _run(port: int, accounts: list[Iterator[str]], seconds: float, *, keys: bool) -> Outcome:
    outcome, clients = Outcome(), [Client(port) for _ in accounts]
    for client in clients:
        await client.open()
    began = time.perf_counter()

    async def send(client: Client, drawn: Iterator[str]) -> None:
        for account_id in drawn:
            sent = time.perf_counter()
            status = await client.command(account_id, "deposits", _DEPOSIT, key=keys)
            outcome.statuses[status] += 1
            if status == 201:
                outcome.millis.append((time.perf_counter() - sent) * 1000)
            else:
                await asyncio.sleep(_PAUSE)
            if time.perf_counter() > began + seconds:
                return

    await asyncio.gather(*map(send, clients, accounts))
    outcome.seconds = time.perf_counter() - began
    for client in clients:
        client.close()
    return outcome


def health_millis(port: int, count: int) -> list[float]:
    """How long so many answers of ``/health`` took, one after the other on a kept connection."""

    async def ask() -> list[float]:
        client = Client(port)
        await client.open()
        millis = []
        for _ in range(count):
            sent = time.perf_counter()
            status, _ = await client.ask("GET", "/health")
            if status != 200:
                raise RuntimeError(f"/health answers {status}")
            millis.append((time.perf_counter() - sent) * 1000)
        client.close()
        return millis

    return asyncio.run(ask())


def ask_once(port: int, ask: Callable[[Client], Any]) -> Any:
    """What one client gets."""

    async def run() -> Any:
        client = Client(port)
        await client.open()
        try:
            return await ask(client)
        finally:
            client.close()

    return asyncio.run(run())


def always(account_id: str) -> Iterator[str]:
    """One account for ever."""
    return itertools.repeat(account_id)
