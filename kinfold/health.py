"""Ask a service whether it is well: ``kinfold health URL``, in containers ``python -m kinfold.health URL [PAUSE]``.

Docker asks at one pace, in a start as in a quiet year. So this takes a tenth of the time in which the command line has
started, since it imports little and asks by a bare socket, and it asks the later, the older the container is: after
``PAUSE`` seconds once that is a minute.
"""

import os
import socket
import sys
import time
from typing import Final

#: The variable that holds the token of ``kinfold health`` and ``kinfold load``.
TOKEN_VARIABLE: Final = "KINFOLD_TOKEN"  # noqa: S105 - a name
#: Seconds to wait for the answer.
TIMEOUT: Final = 3.0
_MOST_BYTES: Final = 10_000
_WITHIN: Final = "http://127.0.0.1:"
_GUARDED: Final = frozenset({401, 403})
#: Seconds after which a container is asked after the whole pause. It grows by the square: a start is seen at once.
_GROWN_UP: Final = 60.0


def ask(url: str, *, timeout: float = TIMEOUT, token: str | None = None) -> tuple[bool, str]:
    """Whether ``url`` (http or https) answers with success within ``timeout`` seconds; what it says, or why not."""
    import http.client
    import urllib.error
    import urllib.request

    from ledger.runtime.sockets import is_loopback_url

    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310
    proxies = urllib.request.ProxyHandler({} if is_loopback_url(url) else None)
    try:
        with urllib.request.build_opener(proxies).open(request, timeout=timeout) as answer:
            return True, answer.read(_MOST_BYTES).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return False, _refusal(url, error.code, error.read(_MOST_BYTES))
    except (OSError, http.client.HTTPException) as error:
        return False, f"{url} does not answer: {error}"


def _ask_within(url: str, *, token: str | None) -> tuple[bool, str]:
    """Like ``ask``, for what listens on 127.0.0.1: the standard library's client costs more than all the rest."""
    host, _, path = url.removeprefix(_WITHIN).partition("/")
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", int(host)), TIMEOUT) as connection:
            connection.sendall(f"GET /{path} HTTP/1.0\r\nHost: 127.0.0.1:{host}\r\n{authorization}\r\n".encode())
            while len(answer) < _MOST_BYTES and (more := connection.recv(_MOST_BYTES)):
                answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head.split(maxsplit=2)[1])
    except (OSError, ValueError, IndexError) as error:
        return False, f"{url} does not answer: {error}"
    return (True, body.decode(errors="replace")) if status < 300 else (False, _refusal(url, status, body))


def _refusal(url: str, status: int, body: bytes) -> str:
    cure = f" It asks for a token of scope operate: --token or {TOKEN_VARIABLE}." if status in _GUARDED else ""
    return f"{url} answers {status}: {body.decode(errors='replace')}{cure}"


def _age_of_container() -> float:
    """Seconds since the container's first process began, by the kernel's clock."""
    with open("/proc/1/stat", encoding="ascii", errors="replace") as stat:
        ticks = int(stat.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    if sys.argv[2:]:
        time.sleep(float(sys.argv[2]) * min(_age_of_container() / _GROWN_UP, 1) ** 2)
    asked = _ask_within if sys.argv[1].startswith(_WITHIN) else ask
    well, said = asked(sys.argv[1], token=os.environ.get(TOKEN_VARIABLE))
    sys.stdout.buffer.write(f"{said}\n".encode())
    sys.exit(not well)
