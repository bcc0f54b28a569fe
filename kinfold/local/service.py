"""One service as a child process: started, waited for, watched, stopped by its own pid."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from kinfold.local.child import spawn, stop, tail
from ledger.errors import KinfoldError

#: Seconds; longer than the services' own drain timeouts (30 s), so that an orderly stop is never cut short.
STOP_TIMEOUT: Final = 40.0
_POLL: Final = 0.1
_REMIND: Final = 10.0


class ServiceDiedError(KinfoldError):
    """A child ended that should run; the message has the end of its log."""


class ServiceNotReadyError(KinfoldError):
    """A child runs but did not become ready in time; the message has its own reason and the end of its log."""


class Service:
    """A running ``kinfold`` service that serves ``url``. The log file outlives the process."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        url: str,
        env: Mapping[str, str],
        log: Path,
        token: str | None = None,
    ) -> None:
        """Start it. ``token``: of scope operate, for whether it is ready, where it asks for one. Raises OSError."""
        self.name = name
        self.url = url
        self.log = log
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._process: subprocess.Popen[bytes] = spawn("kinfold", arguments, env=env, log=log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def kill(self, *, wait: bool = True) -> None:
        """SIGKILL; ``wait`` until it is gone."""
        self._process.kill()
        if wait:
            stop(self._process, STOP_TIMEOUT)

    def stop(self) -> int:
        """SIGTERM, after 40 s SIGKILL. Returns the exit code; safe to repeat."""
        return stop(self._process, STOP_TIMEOUT)

    def check(self) -> None:
        """Raises ServiceDiedError when it no longer runs."""
        code = self.exit_code
        if code is not None:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise ServiceDiedError(f"the {self.name} {how}; the end of its log {self.log}:\n{tail(self.log)}")

    def wait_until_ready(self, timeout: float, report: Callable[[str], None]) -> None:
        """Wait until ``/ready`` answers 200; ``report`` gets its reason every ten seconds while it does not.

        Raises ServiceDiedError, ServiceNotReadyError after ``timeout`` seconds.
        """
        start = reported_at = time.monotonic()
        # A proxy of the environment has no way to our loopback interface.
        with httpx.Client(timeout=5, trust_env=False, headers=self._headers) as client:
            while (reason := self._why_not_ready(client)) is not None:
                now = time.monotonic()
                if now - start > timeout:
                    raise ServiceNotReadyError(
                        f"the {self.name} was not ready after {timeout:.0f} s: {reason}; "
                        f"the end of its log {self.log}:\n{tail(self.log)}"
                    )
                if now - reported_at > _REMIND:
                    reported_at = now
                    report(f"waiting for the {self.name} ({now - start:.0f} s): {reason}")
                time.sleep(_POLL)

    def _why_not_ready(self, client: httpx.Client) -> str | None:
        self.check()
        try:
            answer = client.get(f"{self.url}/ready")
            return None if answer.is_success else str(answer.json()["detail"])
        except httpx.TransportError as error:
            return f"it does not answer ({error})"
        except (ValueError, KeyError, TypeError):
            return f"it answers {answer.status_code}"
