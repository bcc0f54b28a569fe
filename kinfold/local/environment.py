"""The environment in which services run as children, and commands on what runs already."""

import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import boto3
from pydantic import ValidationError

from aws_client.sdk_settings import refused_settings_named
from kinfold.local.embedded_aws import DUMMY_CREDENTIALS, REGION
from ledger.errors import ConfigurationError
from ledger.runtime.aws import Clients, aws_errors
from ledger.runtime.settings import Settings
from ledger.runtime.sockets import LOOPBACK_HOSTS, is_loopback_url

#: What each setting that the services get is called where it comes from.
_VARIABLES: Final = {
    "profile": "KINFOLD_PROFILE",
    "endpoint_url": "AWS_ENDPOINT_URL",
    "region": "AWS_REGION",
    "events_table": "KINFOLD_EVENTS_TABLE",
}
#: Where the SDKs look for credentials: keys, profiles, roles, and the containers' own endpoint.
_CREDENTIALS: Final = re.compile(
    r"AWS_(ACCESS_KEY|SECRET_|SESSION_TOKEN|SECURITY_TOKEN|PROFILE|DEFAULT_PROFILE|ROLE_|WEB_IDENTITY_|CONTAINER_"
    r"|CREDENTIAL|BEARER_TOKEN)"
)
ACCESS_KEY: Final = "AWS_ACCESS_KEY_ID"


def is_account(access_key: str) -> bool:
    """Whether an access key is the number of an emulator's account, and no key of AWS."""
    return re.fullmatch(r"[0-9]{12}", access_key, re.ASCII) is not None


def service_environment(endpoint: str, profile: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our own environment, pointed at ``endpoint`` and ``profile`` as ``pointed_at`` does; ``extra`` goes on top."""
    env = dict(os.environ)
    if profile != env.get("KINFOLD_PROFILE", "local"):
        env.pop("KINFOLD_EVENTS_TABLE", None)
    # The services that we start listen on loopback only, in profiles that no token was made for.
    env.setdefault("KINFOLD_ACCESS", "off")
    return pointed_at(endpoint, env) | {"KINFOLD_PROFILE": profile, "PYTHONUNBUFFERED": "1", **(extra or {})}


def pointed_at(endpoint: str, env: Mapping[str, str]) -> dict[str, str]:
    """An environment in which AWS is at ``endpoint``.

    What is on this machine is an emulator: it gets dummy credentials, since requests must be signed, and never
    anybody's real ones, wherever they are set. An access key of twelve digits stays: it is no secret, but the number of
    an emulator's account. Requests to this machine go through no proxy.
    """
    env = {**env, "AWS_ENDPOINT_URL": endpoint}
    if not is_loopback_url(endpoint):
        return env
    account = env.get(ACCESS_KEY, "")
    env = {name: value for name, value in env.items() if not _CREDENTIALS.match(name)} | DUMMY_CREDENTIALS
    if is_account(account):
        env[ACCESS_KEY] = account
    env.setdefault("AWS_REGION", env.get("AWS_DEFAULT_REGION", REGION))
    hosts = sorted({*LOOPBACK_HOSTS, urlsplit(endpoint).hostname or ""})
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, [env.get(name), *hosts]))
    return env


def service_clients(endpoint: str, profile: str) -> Clients:
    """Clients with the endpoint and credentials that the services get, for this process.

    Raises ConfigurationError for a setting that the AWS SDK refuses, also one that the services are not given.
    """
    env = service_environment(endpoint, profile)
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or REGION
    events = env.get("KINFOLD_EVENTS_TABLE")
    given = {"profile": profile, "endpoint_url": endpoint, "region": region, "events_table": events}
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        faults = [
            f"  {_VARIABLES.get(name, name)}={given.get(name, endpoint)!r}: {fault['msg']}"
            for fault in error.errors()
            for name in [str(fault["loc"][0])]
        ]
        raise ConfigurationError("settings that cannot be used:\n" + "\n".join(faults)) from None
    with aws_errors("making clients of AWS"), refused_settings_named():
        session = boto3.session.Session(
            aws_access_key_id=env.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=env.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=env.get("AWS_SESSION_TOKEN"),
            region_name=region,
        )
    return Clients(settings, session=session)
