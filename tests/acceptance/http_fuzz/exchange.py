"""One request on a socket of its own, and what came back."""

import socket
from dataclasses import dataclass
from typing import Final

import h11

#: Seconds in which what was sent whole is answered, and what was cut off is answered or ended.
PATIENCE: Final = 30.0
#: Seconds that a request which may be cut off waits for an answer before no more of it is said to come.
_GLANCE: Final = 0.1


class HangError(AssertionError):
    """A request that was neither answered nor ended."""


@dataclass(frozen=True)
class Answer:
    """A response; status 0: the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes


def exchange(port: int, raw: bytes, method: str) -> Answer:
    """Send the bytes and read the first final response. Raises HangError; h11.RemoteProtocolError for no HTTP."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="HEAD" if method == "HEAD" else "GET", target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        try:
            connection.sendall(raw)
            if not _is_whole(raw):
                connection.settimeout(_GLANCE)
                try:
                    client.receive_data(connection.recv(65_536))
                except TimeoutError:
                    connection.shutdown(socket.SHUT_WR)
                connection.settimeout(PATIENCE)
            return _read(connection, client)
        except ConnectionError:
            return Answer(0, {}, b"")
        except TimeoutError:
            raise HangError(f"neither answered nor ended in {PATIENCE:g} s: {raw[:500]!r}") from None


def _is_whole(raw: bytes) -> bool:
    """Whether a server can tell that nothing more of the request comes."""
    server = h11.Connection(h11.SERVER)
    try:
        server.receive_data(raw)
        while not isinstance(event := server.next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Request | h11.Data):
                return False
    except h11.RemoteProtocolError:
        return False
    return True


def _read(connection: socket.socket, client: h11.Connection) -> Answer:
    status, headers, body = 0, dict[str, str](), b""
    while True:
        event = client.next_event()
        match event:
            case h11.NEED_DATA:
                received = connection.recv(65_536)
                if not received and not status:
                    return Answer(0, {}, b"")
                client.receive_data(received)
            case h11.Response():
                status = event.status_code
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                return Answer(status, headers, body)
            case h11.InformationalResponse():
                assert event.status_code == 100
            case _:
                return Answer(status, headers, body)
