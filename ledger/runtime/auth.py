"""Who may call a service: bearer tokens (RFC 6750) with scopes. Knows no web framework.

A service admits each request before it reads more than its head:

    needed = needed_scope(method, path, scope_of)
    principal = access.admit(head, needed)      # UnauthenticatedError: 401; MissingScopeError: 403

Both errors carry the problem that answers the request, with its WWW-Authenticate header.

An open service asks nobody for a token, and a browser is on the same side of its guard as its user: so it takes no
change that a page of another origin makes a browser send (``refuse_other_origins``).

Settings hold only SHA-256 hashes. A token is 256 random bits (``new_token``), which nobody finds by guessing, so a
slow hash with a salt, as passwords need, would cost every request and protect nothing.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

import structlog

from ledger.runtime.openapi.docs_page import PATHS as DOCUMENTATION
from ledger.runtime.problems import MISSING_SCOPE, UNAUTHENTICATED, ProblemError
from ledger.runtime.request.head import RequestHead
from ledger.runtime.request.origins import refuse_other_origins

log = structlog.get_logger(__name__)

#: What anybody may request: a load balancer's probe has no token, nor has a browser that opens a page. The responses
#: disclose nothing that is stored.
OPEN_PATHS: Final = frozenset({"/health"}) | DOCUMENTATION
#: What whoever runs a service requests of each.
OPERATIONS_PATHS: Final = frozenset({"/ready", "/metrics"})
_CHALLENGE: Final = 'Bearer realm="kinfold"'
#: RFC 6750, 2.1: "Bearer", then a b64token. The length bounds what is hashed for a stranger.
_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9._~+/-]{1,512}=*)", re.ASCII | re.IGNORECASE)
_CREDENTIAL: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):([a-z]+(?:\+[a-z]+)*):([0-9a-f]{64})", re.ASCII)
#: Lets a scanner of source code or logs know one of our tokens when it sees it.
_PREFIX: Final = "kf_"


class AccessError(ProblemError):
    """The caller may not do this. The message never repeats a token."""


class UnauthenticatedError(AccessError):
    """The request has no token, or none that this service knows."""

    def __init__(self, detail: str) -> None:
        super().__init__(UNAUTHENTICATED, detail, {"WWW-Authenticate": _CHALLENGE})


class MissingScopeError(AccessError):
    """The token is known, and does not have the scope that is needed."""

    def __init__(self, principal: str, scope: str) -> None:
        super().__init__(
            MISSING_SCOPE,
            f"token {principal} does not have the scope {scope}, which this needs.",
            {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'},
        )


class Scope(StrEnum):
    """What a token allows. Scopes do not imply one another."""

    READ = "read"
    WRITE = "write"
    OPERATE = "operate"


def needed_scope(method: str, path: str, scope_of: Callable[[str, str], Scope]) -> Scope | None:
    """The scope that a request needs, whether or not anything is served there; None for one that needs no token.

    ``scope_of`` maps method and path for the paths that are a service's own.
    """
    if path in OPEN_PATHS:
        return None
    return Scope.OPERATE if path in OPERATIONS_PATHS else scope_of(method, path)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a token's name, for logs, and its scopes."""

    name: str
    scopes: frozenset[Scope]


#: The caller where access is open.
ANYBODY: Final = Principal("anybody", frozenset(Scope))


@dataclass(frozen=True, slots=True)
class Credential:
    """A token as the settings hold it: its hash and its principal."""

    principal: Principal
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME:SCOPE+SCOPE:SHA256``. Raises ValueError, which never repeats the text: it may be a token."""
        match = _CREDENTIAL.fullmatch(text)
        if match is None:
            raise ValueError(
                "a token is given as NAME:SCOPES:SHA256, such as shop:read+write:9f86d0...; `kinfold token` makes one"
            )
        unknown = set(match[2].split("+")) - set(Scope)
        if unknown:
            raise ValueError(f"token {match[1]}: the scopes are {', '.join(Scope)}, joined by +")
        scopes = frozenset(map(Scope, match[2].split("+")))
        return cls(Principal(match[1], scopes), bytes.fromhex(match[3]))

    def __str__(self) -> str:
        scopes = "+".join(scope for scope in Scope if scope in self.principal.scopes)
        return f"{self.principal.name}:{scopes}:{self.digest.hex()}"


class Access:
    """Verifies callers. Safe to share between threads."""

    def __init__(self, credentials: Sequence[Credential] | None) -> None:
        """None opens the service to everybody; an empty list closes it to everybody."""
        self._credentials = None if credentials is None else tuple(credentials)

    @property
    def open(self) -> bool:
        """Whether every caller may do everything."""
        return self._credentials is None

    def admit(self, head: RequestHead, needed: Scope | None) -> Principal | None:
        """Return who sends a request; None for one that needs no token.

        Raises UnauthenticatedError and MissingScopeError; where access is open, ProblemError of status 403 for a change
        that a web page of another origin asks for.
        """
        if needed is None:
            return None
        if self.open:
            refuse_other_origins(head)
        principal = self.verify(head.field("Authorization"))
        if needed not in principal.scopes:
            log.warning("missing_scope", client=principal.name, scope=needed)
            raise MissingScopeError(principal.name, needed)
        return principal

    def verify(self, authorization: str | None) -> Principal:
        """Return who sends this ``Authorization`` header; None stands for a request without one.

        Takes the same time whichever token it is: every hash is compared, each in constant time.

        Raises UnauthenticatedError, which never repeats the header.
        """
        if self._credentials is None:
            return ANYBODY
        if authorization is None:
            raise UnauthenticatedError("this request needs a token: send Authorization: Bearer TOKEN.")
        bearer = _BEARER.fullmatch(authorization.strip())
        if bearer is None:
            raise UnauthenticatedError("the Authorization header is not of the form: Bearer TOKEN.")
        given, found = digest(bearer[1]), None
        for credential in self._credentials:
            if hmac.compare_digest(credential.digest, given):
                found = credential.principal
        if found is None:
            raise UnauthenticatedError("the token is not one of this service's.")
        return found


def new_token() -> str:
    """Make a token of 256 random bits. Only its digest is kept."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """The SHA-256 of a token."""
    return hashlib.sha256(token.encode()).digest()
