"""Looking at table, stream and destination, and enabling the destination. The calls block."""

from typing import TYPE_CHECKING

from ledger.errors import ResourceError
from ledger.runtime.aws import Clients
from ledger.store.tables import Names, table_status
from stream_bridge.provisioning.destination import NativeDestination, describe_destinations
from stream_bridge.provisioning.stream import describe_stream, need_stream
from stream_bridge.waiter import Patience
from stream_bridge.watch.destination_health import Sight
from stream_bridge.watch.holds import Holds

if TYPE_CHECKING:
    from collections.abc import Callable


class Inspector:
    """Looks at what carries a profile's events. Raises TransientError or ResourceError."""

    def __init__(self, clients: Clients, names: Names, active_timeout: float, tell: "Callable[[str], None]") -> None:
        """``active_timeout``: seconds to wait for a destination to become ACTIVE; ``tell`` gets a line meanwhile."""
        self._clients = clients
        self._names = names
        self._active_timeout = active_timeout
        self._tell = tell
        self._holds = Holds(clients.dynamodb, names.bridge)

    def look(self) -> Sight:
        """One look at everything."""
        table = table_status(self._clients.dynamodb, self._names.events)
        stream = describe_stream(self._clients.kinesis, self._names.stream)
        destination = None
        if table is not None:
            found = describe_destinations(self._clients.dynamodb, self._names.events)
            suffix = f":stream/{self._names.stream}"
            destination = next((each for each in found if each.stream_arn.endswith(suffix)), None)
        hold = self._holds.find()
        return Sight(table, stream.status if stream else None, destination, str(hold) if hold else None)

    def enable(self) -> list[str]:
        """Enable the destination and wait until it is ACTIVE; gives its warnings."""
        stream = need_stream(self._clients.kinesis, self._names.stream)
        patience = Patience(self._active_timeout, self._tell)
        destination = NativeDestination(self._clients.dynamodb, self._names.events, stream.arn, patience)
        state = destination.ensure()
        if not state.healthy:
            raise ResourceError(f"the streaming destination is {state.status} after it was enabled")
        return destination.warnings
