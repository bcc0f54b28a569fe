"""Settings of a process, read once from the environment by its composition root.

Ours have the prefix ``KINFOLD_``; AWS's own (``AWS_ENDPOINT_URL``, ``AWS_REGION``, credentials) are read as boto3
reads them. Services add their own fields in a subclass.
"""

import os
import re
import socket
from typing import Annotated, Any, Final, Literal, TypeVar

import structlog
from pydantic import (
    AliasChoices,
    AnyHttpUrl,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ledger.errors import ConfigurationError
from ledger.runtime.auth import Access, Credential
from ledger.runtime.serving.listener import Limits, connections_below_descriptors
from ledger.runtime.sockets import bind, is_loopback_host

log = structlog.get_logger(__name__)

Profile = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Bridge = Literal["native", "relay"]


class Settings(BaseSettings):
    """What every service shares: which tables, which endpoint."""

    model_config = SettingsConfigDict(env_prefix="KINFOLD_", extra="ignore", populate_by_name=True)

    profile: Profile = Field("local", description="names every table and stream: domain-events-{profile}, ...")
    endpoint_url: AnyHttpUrl | None = Field(
        None,
        validate_default=True,
        validation_alias=AliasChoices("AWS_ENDPOINT_URL"),
        description="the AWS endpoint; unset: what `kinfold up` runs here for the profile, else AWS itself",
    )
    events_table: str | None = Field(
        None,
        description="the events table, where it was restored under another name: domain-events-{profile}.NAME",
    )
    region: str = Field(
        "us-east-1",
        min_length=1,
        validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"),
        description="the AWS region",
    )
    endpoint_timeout: float = Field(
        120,
        ge=0,
        le=604_800,
        description="seconds to wait at start for an endpoint, table or stream that is not there yet",
    )
    domain: str = Field(
        "betting",
        description="the domain: a package, or an entry point of group kinfold.domains; several, parted by commas",
    )
    bridge: Bridge = Field(
        "native", description="what carries the table to the stream: DynamoDB's own destination, or `bridge relay`"
    )
    log_level: Annotated[str, StringConstraints(to_upper=True, pattern="^(?i:debug|info|warning|error)$")] = Field(
        "INFO", description="debug, info, warning or error"
    )
    log_format: Annotated[str, StringConstraints(pattern="^(text|json)$")] = Field("text", description="text or json")
    operator: str = Field(
        "", max_length=200, description="who runs a command, for the audit log; unless given, user@host"
    )
    pass_env: str = Field(
        "",
        description="names of further variables to pass on, for what the AWS SDK starts (ledger.runtime.environment)",
    )

    @field_validator("events_table")
    @classmethod
    def _of_the_profile(cls, value: str | None, info: ValidationInfo) -> str | None:
        own = f"domain-events-{info.data.get('profile')}"
        # No profile has a dot in its name, so this can be no other profile's table.
        if value and value != own and not re.fullmatch(rf"{re.escape(own)}\.[A-Za-z0-9_.-]{{1,128}}", value):
            raise ValueError(
                f"an events table of this profile is {own}, or {own}.NAME where it was restored under another name"
            )
        return value or None

    @field_validator("endpoint_url")
    @classmethod
    def _local_needs_an_endpoint(cls, value: AnyHttpUrl | None, info: ValidationInfo) -> AnyHttpUrl | None:
        if value is None and info.data.get("profile") == "local":
            raise ValueError(
                "profile local needs AWS_ENDPOINT_URL, so that a laptop never writes to a real AWS account by "
                "accident, and nothing of this profile runs that commands would find by themselves: start it with "
                "`kinfold up` in another terminal, set AWS_ENDPOINT_URL to an endpoint that you have, or choose "
                "another KINFOLD_PROFILE"
            )
        return value


def _credentials(value: Any) -> Any:
    return tuple(map(Credential.parse, re.split(r"[,\s]+", value.strip(", \t\r\n")))) if value else ()


class GuardedSettings(Settings):
    """What a service with a port adds: who may call it, and what clients may hold of it."""

    tokens: Annotated[tuple[Credential, ...], NoDecode, BeforeValidator(_credentials)] = Field(
        (), description="NAME:SCOPES:SHA256 of each token, parted by commas or blanks; `kinfold token` makes them"
    )
    access: Literal["tokens", "off"] = Field(
        "tokens", description="off: no token is asked for, because something else guards the port"
    )

    http_connections: int = Field(
        1000, ge=16, le=100_000, description="clients' connections at once; fewer where `ulimit -n` allows fewer files"
    )
    http_head_timeout: float = Field(10, ge=0.1, le=600, description="seconds for the head of a request to arrive")
    http_body_timeout: float = Field(30, ge=0.1, le=600, description="seconds for the body of a request to arrive")
    http_idle_timeout: float = Field(
        75,
        ge=0.1,
        le=4000,
        description="seconds for which a connection is kept without a request, or a response unread",
    )

    def claim(self, host: str, port: int) -> tuple[Access, socket.socket]:
        """Who may call the service, and its bound socket: access is judged by where the socket is, not by a name.

        Raises ConfigurationError as ``guard`` and ``ledger.runtime.sockets.bind`` do.
        """
        bound = bind(host, port)
        try:
            return self.guard(bound.getsockname()[0]), bound
        except ConfigurationError:
            bound.close()
            raise

    def limits(self, own: int) -> Limits:
        """What clients may hold of the service, whose own connections take ``own`` descriptors.

        Raises ConfigurationError when the process may open too few files (RLIMIT_NOFILE).
        """
        return Limits(
            connections=connections_below_descriptors(self.http_connections, own),
            head_timeout=self.http_head_timeout,
            body_timeout=self.http_body_timeout,
            idle_timeout=self.http_idle_timeout,
        )

    def guard(self, host: str) -> Access:
        """Who may call a service that listens on the address ``host``.

        Open only when switched off explicitly, or without tokens on a loopback address in profile ``local``.

        Raises ConfigurationError for a service that would have no token to let anybody in, and for two of one name.
        """
        if self.access == "off":
            if self.tokens:
                log.warning("tokens_without_effect", action="set KINFOLD_ACCESS=tokens, or remove KINFOLD_TOKENS")
            return Access(None)
        if not self.tokens:
            if self.profile == "local" and is_loopback_host(host):
                return Access(None)
            raise ConfigurationError(
                f"no token is set, and only profile local on a loopback address is open by itself (this is profile "
                f"{self.profile} on {host}): put the line that `kinfold token` prints into KINFOLD_TOKENS, or set "
                "KINFOLD_ACCESS=off where something else guards the port"
            )
        if len({token.principal.name for token in self.tokens}) < len(self.tokens):
            raise ConfigurationError("KINFOLD_TOKENS: two tokens have one name; a log could not tell them apart")
        return Access(self.tokens)


S = TypeVar("S", bound=Settings)
#: Settings whose value is not shown in a message: it holds a token in plain text, by mistake or for a service.
_SECRET: Final = frozenset({"KINFOLD_TOKENS", "KINFOLD_CONSOLE_TOKEN"})


def load_settings(kind: type[S]) -> S:
    """Read the settings of one service. Raises ConfigurationError that names every bad one at once."""
    try:
        return kind()
    except ValidationError as error:
        lines = [
            f"  {_variable(kind, fault['loc'])}{fault['msg'].removeprefix('Value error, ')}" for fault in error.errors()
        ]
        raise ConfigurationError("settings that cannot be used:\n" + "\n".join(lines)) from None


def _variable(kind: type[Settings], location: tuple[int | str, ...]) -> str:
    """The environment variable at fault and what it holds. pydantic names it by its alias or by its field."""
    if not location:
        return ""
    name = str(location[0])
    field = kind.model_fields.get(name)
    if field is not None and isinstance(field.validation_alias, AliasChoices):
        name = str(field.validation_alias.choices[0])
    variable = name if name.startswith("AWS_") else f"KINFOLD_{name.upper()}"
    return f"{variable}: " if variable in _SECRET else f"{variable}={os.environ.get(variable, '')!r}: "
