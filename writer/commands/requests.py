"""One command of one request, from its arrival to its outcome."""

import time
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from ledger.aggregates.aggregate_type import AnyType
from ledger.store.idempotency_keys import CommandKey, RecordedCommand
from writer.commands.preconditions import Precondition
from writer.resource import Command

if TYPE_CHECKING:
    from opentelemetry.trace import Span


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """One command of one HTTP request; with a ``key``, its result is recorded and a repeat gets the same one.

    ``span``: the request's, if it is traced.
    """

    kind: AnyType
    aggregate_id: str
    command: Command[Any]
    precondition: Precondition
    correlation_id: str
    key: CommandKey | None = None
    span: "Span | None" = None

    @property
    def aggregate_key(self) -> str:
        """The key under which the aggregate's events are stored."""
        return self.kind.key(self.aggregate_id)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The response to a command that was carried out, by this request or, when ``replayed``, by an earlier one."""

    status: int
    body: str
    replayed: bool = False


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that waits for its outcome: ``result`` or ``error``. Most of the rest is for its log line."""

    request: CommandRequest
    since: float = field(default_factory=time.monotonic)
    result: CommandResult | None = None
    error: BaseException | None = None
    version: int | None = None
    retries: int = 0
    write_units: float = 0.0
    #: How many commands were stored together with it, itself among them.
    together: int = 1
    #: The record of the command's key whose events are lost.
    worthless: RecordedCommand | None = None
    #: Set when it has an outcome, or ``group`` to carry out.
    woken: Event | None = None
    group: "list[Waiting] | None" = None

    def accept(self, result: CommandResult) -> None:
        """The command was carried out."""
        self.result = result
        self._wake()

    def fail(self, error: BaseException) -> None:
        """The command was not carried out, or nobody knows."""
        self.error = error
        self._wake()

    def lead(self, group: "list[Waiting]") -> None:
        """Its thread is to carry out ``group``, of which it is one."""
        self.group = group
        self._wake()

    def _wake(self) -> None:
        if self.woken is not None:
            self.woken.set()
