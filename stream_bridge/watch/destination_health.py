"""Whether events reach the stream: ``Inspector`` looks, ``assess`` judges what it found and says what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from ledger.holds import Holds
from ledger.runtime.aws import Clients
from ledger.store.tables import Names, table_status
from stream_bridge.provisioning.destination import ENABLEABLE, DestinationState, NativeDestination, find_destination
from stream_bridge.provisioning.stream import describe_stream, need_stream
from stream_bridge.waiter import StateWaiter

#: Seconds after a repair within which a destination that is DISABLED again was disabled on purpose.
UNDONE_WITHIN: Final = 600.0

Action = Literal["none", "enable"]


@dataclass(frozen=True, slots=True)
class BridgeObservation:
    """The status of table, stream and destination, None where there is none; ``held``: who holds the watch, and why."""

    table: str | None
    stream: str | None
    destination: DestinationState | None
    held: str | None = None


@dataclass(frozen=True, slots=True)
class BridgeVerdict:
    """``reason`` says why what is appended now does not reach the stream, and what to do about it; "": it does."""

    reason: str = ""
    action: Action = "none"

    @property
    def healthy(self) -> bool:
        """Whether what is appended now reaches the stream."""
        return not self.reason


def assess(seen: BridgeObservation, *, native: bool, repair: bool, repaired_ago: float | None) -> BridgeVerdict:
    """Judge an observation. Pure.

    ``native``: whether the destination carries the events. ``repair``: whether the watch may enable it.
    ``repaired_ago``: seconds since the watch last did, None: never.
    """
    held = f", and the watch is {seen.held}; `kinfold bridge hold --lift` ends that"
    for what, found in (("events table", seen.table), ("stream", seen.stream)):
        if found not in {"ACTIVE", "UPDATING"}:
            says = f"the {what} is {found or 'missing'}"
            return BridgeVerdict(f"{says}: `kinfold bridge ensure`" if seen.held is None else says + held)
    destination = seen.destination
    if not native or (destination is not None and destination.healthy):
        return BridgeVerdict()
    status = destination.status if destination else None
    says = f"the streaming destination is {status or 'missing'}"
    if destination is not None and destination.description:
        says += f" ({destination.description})"
    if status not in ENABLEABLE:
        return BridgeVerdict(f"{says}: waiting")
    if seen.held is not None:
        return BridgeVerdict(says + held)
    if not repair:
        return BridgeVerdict(f"{says}, and the watch was started with --no-repair: `kinfold bridge ensure`")
    if status == "DISABLED" and repaired_ago is not None and repaired_ago < UNDONE_WITHIN:
        return BridgeVerdict(
            f"{says} again, {repaired_ago:.0f} s after the watch enabled it: somebody means it. "
            f"`kinfold bridge ensure` enables it, `kinfold bridge hold` says that it is to stay so"
        )
    return BridgeVerdict(says, "enable")


class Inspector:
    """Looks at table, stream and destination of a profile, and enables the destination.

    Its calls block. They raise TransientError or ResourceError.
    """

    def __init__(self, clients: Clients, names: Names, active_timeout: float, report: Callable[[str], None]) -> None:
        """``active_timeout``: seconds to wait for a destination to become ACTIVE; ``report`` gets a line meanwhile."""
        self._clients = clients
        self._names = names
        self._active_timeout = active_timeout
        self._report = report
        self._holds = Holds(clients.dynamodb, names.bridge)

    def look(self) -> BridgeObservation:
        """Observe everything once."""
        table = table_status(self._clients.dynamodb, self._names.events)
        stream = describe_stream(self._clients.kinesis, self._names.stream)
        destination = None
        if table is not None:
            destination, _ = find_destination(self._clients.dynamodb, self._names.events, self._names.stream)
        hold = self._holds.find()
        return BridgeObservation(table, stream.status if stream else None, destination, str(hold) if hold else None)

    def enable(self) -> list[str]:
        """Enable the destination and wait until it is ACTIVE; returns its warnings."""
        stream = need_stream(self._clients.kinesis, self._names.stream)
        waiter = StateWaiter(self._active_timeout, self._report)
        destination = NativeDestination(self._clients.dynamodb, self._names.events, stream.arn, waiter)
        destination.ensure()
        return destination.warnings
