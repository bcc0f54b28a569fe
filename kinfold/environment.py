"""The environment in which the services run as children."""

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from kinfold.local_aws import DUMMY_CREDENTIALS, REGION

_LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    return urlsplit(url).hostname in _LOOPBACK_HOSTS


def service_environment(endpoint: str, profile: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our own environment, pointed at ``endpoint`` and ``profile``; ``extra`` goes on top.

    An emulator on this machine gets dummy credentials where none are set, and never those of a named AWS profile:
    it needs something signed and must see nobody's keys. No proxy stands between us and this machine.
    """
    env = dict(os.environ)
    if is_loopback(endpoint):
        if not env.get("AWS_ACCESS_KEY_ID"):
            env |= DUMMY_CREDENTIALS
        env.pop("AWS_PROFILE", None)
        env.setdefault("AWS_REGION", env.get("AWS_DEFAULT_REGION", REGION))
        for name in ("NO_PROXY", "no_proxy"):
            env[name] = ",".join(filter(None, [env.get(name), *sorted(_LOOPBACK_HOSTS)]))
    return env | {
        "AWS_ENDPOINT_URL": endpoint,
        "KINFOLD_PROFILE": profile,
        "PYTHONUNBUFFERED": "1",
        **(extra or {}),
    }
