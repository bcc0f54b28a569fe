"""Ask a service whether it is well. ``python -m kinfold.health URL`` is ``kinfold health URL`` for a health check.

A container is asked every second for as long as it lives, so this imports the standard library alone, or nearly: it
takes a tenth of the time in which the command line has started.
"""

import http.client
import os
import sys
import urllib.error
import urllib.request
from typing import Final

from ledger.runtime.sockets import is_loopback_url

#: The variable that holds the token of ``kinfold health`` and ``kinfold load``.
TOKEN_VARIABLE: Final = "KINFOLD_TOKEN"  # noqa: S105 - a name
#: Seconds to wait for the answer.
TIMEOUT: Final = 3.0
_MOST_BYTES: Final = 10_000


def ask(url: str, *, timeout: float = TIMEOUT, token: str | None = None) -> tuple[bool, str]:
    """Whether ``url``, of http or https, answers with success within ``timeout`` seconds; and what it says, or why not."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310
    proxies = urllib.request.ProxyHandler({} if is_loopback_url(url) else None)
    try:
        with urllib.request.build_opener(proxies).open(request, timeout=timeout) as answer:
            return True, answer.read(_MOST_BYTES).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return False, f"{url} answers {error.code}: {error.read(_MOST_BYTES).decode(errors='replace')}"
    except (OSError, http.client.HTTPException) as error:
        return False, f"{url} does not answer: {error}"


if __name__ == "__main__":
    well, said = ask(sys.argv[1], token=os.environ.get(TOKEN_VARIABLE))
    sys.stdout.buffer.write(f"{said}\n".encode())
    sys.exit(not well)
