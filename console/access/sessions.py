"""Sessions of a browser. They live in this process: a restarted console has everybody sign in again."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cachetools import TTLCache

from ledger.runtime.auth import Principal, Scope

#: Sessions kept at most; the least recently begun one gives way.
_MAX_SESSIONS: Final = 1000


@dataclass(frozen=True, slots=True)
class Session:
    """Whoever signed in. ``csrf`` is in every form that is served to it, and in no page of anybody else."""

    principal: Principal
    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def operates(self) -> bool:
        """Whether it may act, and see raw payloads."""
        return Scope.OPERATE in self.principal.scopes

    def has_made(self, csrf: str) -> bool:
        """Whether a form with this proof was served to the session."""
        return secrets.compare_digest(csrf.encode(), self.csrf.encode())


class Sessions:
    """The sessions that have not ended. Safe to share between threads."""

    def __init__(self, seconds: int, now: Callable[[], float] = time.monotonic) -> None:
        """``seconds``: how long one lasts after it began."""
        self.seconds = seconds
        self._sessions: TTLCache[str, Session] = TTLCache(_MAX_SESSIONS, seconds, timer=now)
        self._lock = threading.Lock()

    def begin(self, principal: Principal) -> Session:
        """A new session, under an id that nobody can guess."""
        session = Session(principal)
        with self._lock:
            self._sessions[session.id] = session
        return session

    def find(self, session_id: str | None) -> Session | None:
        """The session of this id; None for one that has ended or never was."""
        with self._lock:
            return self._sessions.get(session_id or "")

    def end(self, session: Session) -> None:
        """End it. Idempotent."""
        with self._lock:
            self._sessions.pop(session.id, None)
