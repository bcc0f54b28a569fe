"""Fast signatures: botocore walks a request's headers three times, and derives the day's key anew for each request.

A signer of our own is named at ``choose-signer``, botocore's event for that. The rules are AWS's, "Create a signed AWS
API request": Signature Version 4. A request that is not a POST of bytes to / stays botocore's, as does any other
kind of signature. Without the event, everything would work as before, at botocore's speed.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from botocore.auth import AUTH_TYPE_MAPS, SIGNED_HEADERS_BLACKLIST, SIGV4_TIMESTAMP, SigV4Auth
from botocore.compat import get_current_datetime

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.client import BaseClient
    from botocore.credentials import ReadOnlyCredentials

_VERSION: Final = "v4-kinfold"
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNSIGNED: Final = frozenset(SIGNED_HEADERS_BLACKLIST)
_PORTS: Final = {"http": 80, "https": 443}


def install_fast_signing(client: BaseClient) -> None:
    """Make the client sign faster, with the same signatures. Idempotent."""
    AUTH_TYPE_MAPS[_VERSION] = FastSigV4
    # botocore's stubs know of no handler that answers.
    client.meta.events.register("choose-signer", cast("Any", _choose), unique_id="kinfold-signer")


def _choose(signature_version: Any, **_: object) -> str | None:
    return _VERSION if signature_version == "v4" else None


class FastSigV4(SigV4Auth):
    """Signs one request by Signature Version 4, like its base class."""

    def __init__(self, credentials: ReadOnlyCredentials, service_name: str, region_name: str) -> None:
        super().__init__(credentials, service_name, region_name)
        self._service = service_name
        self._region = region_name

    def add_auth(self, request: AWSRequest) -> None:
        """Add ``Authorization``, and what it signs, to the headers. Raises NoCredentialsError."""
        host = _host(request.url)
        if self.credentials is None or host is None or not _is_plain(request):
            super().add_auth(request)
            return
        headers, token, body = request.headers, self.credentials.token, cast("bytes", request.data)
        stamp = request.context["timestamp"] = get_current_datetime().strftime(SIGV4_TIMESTAMP)
        # A request that is sent again brings those of the last time.
        for name, value in (("Authorization", None), ("X-Amz-Date", stamp), ("X-Amz-Security-Token", token)):
            del headers[name]
            if value:
                headers[name] = value
        signed = {"host": host}
        signed |= {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        names = sorted(signed.keys() - _UNSIGNED)
        said = ";".join(names)
        lines = ["POST", "/", "", *(f"{name}:{signed[name]}" for name in names), "", said]
        canonical = "\n".join([*lines, sha256(body).hexdigest()])
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        text = "\n".join((_ALGORITHM, stamp, scope, sha256(canonical.encode()).hexdigest()))
        key = _key(self.credentials.secret_key, stamp[:8], self._region, self._service)
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        who = f"{self.credentials.access_key}/{scope}"
        headers["Authorization"] = f"{_ALGORITHM} Credential={who}, SignedHeaders={said}, Signature={signature}"


def _is_plain(request: AWSRequest) -> bool:
    """Whether there is nothing to sign but headers and a body of bytes."""
    context, headers = request.context, request.headers
    return (
        request.method == "POST"
        and type(request.data) is bytes
        and not request.params
        and "Date" not in headers
        and "X-Amz-Content-SHA256" not in headers
        and context.get("payload_signing_enabled", True)
        and not context.get("checksum")
    )


@lru_cache(64)
def _host(url: str) -> str | None:
    """The value of ``Host`` for a URL without path, query and IPv6 address; None for any other."""
    parts = urlsplit(url)
    if parts.path not in {"", "/"} or parts.query or not parts.hostname or ":" in parts.hostname:
        return None
    default = parts.port in {None, _PORTS.get(parts.scheme)}
    return parts.hostname if default else f"{parts.hostname}:{parts.port}"


@lru_cache(8)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    """The key of a day's signatures."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
