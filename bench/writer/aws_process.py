"""AWS in memory, served over HTTP on the loopback interface: ``python -m bench.writer.aws_process``. Not AWS.

The tables and their rules are the simulation's. Each answer leaves ``--millis`` after its request came, as DynamoDB's
do after some. Counted are calls on items, whoever makes them, and units by AWS's rules; or all calls of a ``--caller``
that its user agent names. ``GET /`` gives the counts so far.
"""

import argparse
import asyncio
import re
from collections import Counter
from typing import Any, Final

import orjson

from bench.writer.long_accounts import with_long_accounts
from ledger.store.tables import Names, store_specs
from simulation.aws.account import Account
from simulation.aws.errors import AwsError
from stream_bridge.provisioning.bridge import bridge_specs

#: What is counted: operations on items, not what describes tables.
_READS: Final = frozenset({"GetItem", "BatchGetItem", "Query", "Scan"})
_WRITES: Final = frozenset(
    {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "BatchExecuteStatement", "TransactWriteItems"}
)
_OPERATION: Final = re.compile(rb"\r\nx-amz-target: (\w+)_\d+\.(\w+)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class CountingAws:
    """Answers operations, and counts them."""

    def __init__(self, profile: str, caller: str = "") -> None:
        self._caller = caller.encode()
        account, names = Account(), Names(profile)
        for spec in (*store_specs(names), *bridge_specs(names)):
            account.control.create_table(spec.request())
        with_long_accounts(account.dynamodb.table(names.events))
        self._operations = account.operations()
        self._operations["kinesis.ListStreams"] = lambda _: {"StreamNames": [], "HasMoreStreams": False}
        self.calls: Counter[str] = Counter()
        self.read_units: Counter[str] = Counter()
        self.write_units: Counter[str] = Counter()

    def answer(self, service: str, operation: str, head: bytes, body: bytes) -> tuple[int, bytes]:
        """The status and the body of an operation's answer. ``head``: that of the HTTP request."""
        request = orjson.loads(body)
        wanted = request.get("ReturnConsumedCapacity", "NONE")
        asks = self._caller in head
        counted = asks and operation in _READS | _WRITES
        if counted or (asks and self._caller):
            self.calls[operation] += 1
        if counted:
            request["ReturnConsumedCapacity"] = "TOTAL"
        try:
            answer = self._operations[f"{service}.{operation}"](request)
        except AwsError as error:
            return error.status, orjson.dumps({"__type": error.code, "message": error.message, **error.members})
        if counted:
            self._count(operation, answer, keep=wanted != "NONE")
        return 200, orjson.dumps(answer)

    def counts(self) -> dict[str, Any]:
        """The counts so far; units by table."""
        return {
            "calls": dict(self.calls),
            "read_units": dict(self.read_units),
            "write_units": dict(self.write_units),
        }

    def _count(self, operation: str, answer: dict[str, Any], *, keep: bool) -> None:
        consumed = answer["ConsumedCapacity"] if keep else answer.pop("ConsumedCapacity")
        units = self.read_units if operation in _READS else self.write_units
        for each in consumed if isinstance(consumed, list) else [consumed]:
            units[each["TableName"]] += each["CapacityUnits"]


class _Connection(asyncio.Protocol):
    """One client's connection: whole requests in, one answer each, in order."""

    def __init__(self, aws: CountingAws, seconds: float) -> None:
        self._aws = aws
        self._seconds = seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n") + 4) > 3:
            head = self._received[:end]
            length = int(found[1]) if (found := _LENGTH.search(head)) else 0
            if len(self._received) < end + length:
                return
            body, self._received = self._received[end : end + length], self._received[end + length :]
            self._respond(head, body)

    def _respond(self, head: bytes, body: bytes) -> None:
        operation = _OPERATION.search(head)
        if operation is None:
            self._send(200, orjson.dumps(self._aws.counts()))
            return
        service, name = (each.decode() for each in operation.groups())
        status, answer = self._aws.answer(service.lower(), name, head, body)
        asyncio.get_running_loop().call_later(self._seconds, self._send, status, answer)

    def _send(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def start(aws: CountingAws, port: int, seconds: float) -> asyncio.Server:
    """Serve on a port of the loopback interface, each answer so many seconds late."""
    return await asyncio.get_running_loop().create_server(lambda: _Connection(aws, seconds), "127.0.0.1", port)


async def _serve(profile: str, port: int, seconds: float, caller: str) -> None:
    async with await start(CountingAws(profile, caller), port, seconds) as server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--millis", type=float, default=0.0)
    parser.add_argument("--caller", default="")
    given = parser.parse_args()
    asyncio.run(_serve(given.profile, given.port, given.millis / 1000, given.caller))
