"""Ask a service whether it is well: ``kinfold health URL``, in containers ``python -m kinfold.health URL [PAUSE]``.

Docker asks at one pace, in a start as in a quiet year. So this needs a tenth of the time in which the command line has
started, and it asks the later, the older the container is: ``PAUSE`` seconds after it was called once that is a minute.
"""

import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from ledger.runtime.sockets import is_loopback_url

#: The variable that holds the token of ``kinfold health`` and ``kinfold load``.
TOKEN_VARIABLE: Final = "KINFOLD_TOKEN"  # noqa: S105 - a name
#: Seconds to wait for the answer.
TIMEOUT: Final = 3.0
_MOST_BYTES: Final = 10_000
#: Seconds after which a container is asked after the whole pause: a start is seen that small part of its own time late.
_GROWN_UP: Final = 60.0


def ask(url: str, *, timeout: float = TIMEOUT, token: str | None = None) -> tuple[bool, str]:
    """Whether ``url`` (http or https) answers with success within ``timeout`` seconds; what it says, or why not."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310
    proxies = urllib.request.ProxyHandler({} if is_loopback_url(url) else None)
    try:
        with urllib.request.build_opener(proxies).open(request, timeout=timeout) as answer:
            return True, answer.read(_MOST_BYTES).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return False, f"{url} answers {error.code}: {error.read(_MOST_BYTES).decode(errors='replace')}"
    except (OSError, http.client.HTTPException) as error:
        return False, f"{url} does not answer: {error}"


def _age_of_container() -> float:
    """Seconds since the container's first process began, by the kernel's clock."""
    ticks = int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    if sys.argv[2:]:
        time.sleep(float(sys.argv[2]) * min(_age_of_container() / _GROWN_UP, 1))
    well, said = ask(sys.argv[1], token=os.environ.get(TOKEN_VARIABLE))
    sys.stdout.buffer.write(f"{said}\n".encode())
    sys.exit(not well)
