"""The options and their defaults."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from yarl import URL

from aws_client.moments import parse_moment
from faust_kinesis.errors import ConfigurationError

_POSITIONS = "a position is trim-horizon, latest or a time"


def parse_position(given: str | datetime) -> Literal["trim-horizon", "latest"] | datetime:
    """Read where a shard without a checkpoint starts: `trim-horizon`, `latest` or a time, returned in UTC.

    Raises ValueError: it is none of them, or a time to come, of which Kinesis gives no iterator.
    """
    if given in ("trim-horizon", "latest"):
        return "latest" if given == "latest" else "trim-horizon"
    try:
        moment = parse_moment(given.isoformat() if isinstance(given, datetime) else given)
    except ValueError as error:
        raise ValueError(f"{_POSITIONS}: {error}") from None
    if moment > datetime.now(UTC):
        raise ValueError(f"{_POSITIONS}: {moment.isoformat()} is still to come")
    return moment


StartingPosition = Annotated[Literal["trim-horizon", "latest"] | datetime, BeforeValidator(parse_position)]
"""Where a shard without a checkpoint starts: its oldest record, its end, or a time."""

OWN_PROPERTIES: Mapping[str, str] = {
    "applicationName": "the option application sets it",
    "tableName": "the option application sets it",
    "streamName": "the app's topic sets it",
    "streamArn": "the app's topic sets it",
    "executableName": "it is this package's own byte pipe",
    "workerId": "the option worker_id sets it",
    "workerIdentifier": "the option worker_id sets it",
    "initialPositionInStream": "the option start sets it",
    "initialPositionInStreamExtended": "the option start sets it",
    "callProcessRecordsEvenForEmptyRecordList": "it is always true, since idle shards are checkpointed then",
}
"""KCL properties that cannot be passed through, and what sets them."""


def parse_properties(text: str) -> dict[str, str]:
    """Read KCL properties from `name=value,name=value`, or from a JSON object for values with commas.

    Raises ValueError: it is neither, or a property cannot be passed through; the message names it.
    """
    return refuse_own(_pairs(text))


def refuse_own(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties. Raises ValueError: one is in OWN_PROPERTIES."""
    taken = sorted(OWN_PROPERTIES.keys() & properties.keys())
    if taken:
        raise ValueError("; ".join(f"{name} cannot be passed to KCL: {OWN_PROPERTIES[name]}" for name in taken))
    return dict(properties)


def _pairs(text: str) -> dict[str, str]:
    if text.lstrip().startswith("{"):
        return {str(name): str(value) for name, value in json.loads(text, object_pairs_hook=_once_each).items()}
    found = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{pair[:60]!r} is not name=value")
        found.append((name.strip(), value.strip()))
    return _once_each(found)


def _once_each(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The pairs as a mapping. Raises ValueError: a name stands there twice, and only one of its values could count."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:60]} is given twice")
        found[name] = value
    return found


KclProperties = Annotated[
    Mapping[str, str],
    BeforeValidator(lambda given: _pairs(given) if isinstance(given, str) else given),
    AfterValidator(refuse_own),
]


class KinesisOptions(BaseModel):
    """Options of the transport. Times are seconds.

    The bound on memory is `buffer_batches` times `batch_size` records a shard (GetRecords gives at most 10 MiB a call).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    application: str = Field(min_length=3, max_length=255, pattern=r"^[a-zA-Z0-9_.-]+$")
    """The lease table's name, which is KCL's application name. One stream per application."""
    worker_id: str = Field(min_length=1)
    """Stable across restarts and unique per replica: a restarted worker retakes its own leases at once."""
    start: StartingPosition = "trim-horizon"
    """Only for shards without a lease."""
    batch_size: int = Field(default=1000, ge=1, le=10_000)
    """Maximum records in a batch: GetRecords' Limit."""
    poll_interval: float = Field(default=0.25, gt=0)
    """Between two reads of a shard. Kinesis allows five reads a second a shard, shared by all readers."""
    buffer_batches: int = Field(default=2, ge=1)
    """Maximum batches of a shard read and not completed; reading pauses there."""
    checkpoint_interval: float = Field(default=1.0, ge=0)
    """Minimum time between two checkpoints of a shard. What was completed since is redelivered after a crash."""
    failover_time: float = Field(default=10.0, gt=0)
    """How long a lease's counter must stay unchanged until another worker takes it; renewed three times as often."""
    shard_sync_interval: float = Field(default=10.0, gt=0)
    """Between two listings of the stream's shards. The end of a shard causes one at once."""
    stop_timeout: float = Field(default=30.0, gt=0)
    """How long a stop waits for batches in flight, last checkpoints and queued records."""
    read_threads: int = Field(default=8, ge=1, le=256)
    """Threads for reading; a read is a blocking call of some 10 to 100 ms."""
    lease_table_create: bool = True
    """Create the lease table when it is missing; False where only infrastructure code may create tables."""
    consumer: Literal["polling", "kcl"] = "polling"
    """Which source reads: this process alone, or Amazon's KCL with any number of workers. The leases are the same."""
    batch_timeout: float = Field(default=300.0, gt=0)
    """kcl: how long agents may hold batches and complete none; then the worker ends."""
    daemon_timeout: float = Field(default=60.0, gt=0)
    """kcl: how long the Java process may show no sign of life; then the worker ends."""
    java_heap_mb: int = Field(default=256, ge=64)
    """kcl: the cap on the Java process's heap. KCL holds up to 8 MB read ahead a shard, and copies of it."""
    kcl_properties: KclProperties = Field(default_factory=dict)
    """kcl: properties of the MultiLangDaemon, over those of `kcl.processes.properties`. As text: JSON, or k=v,k=v."""

    @property
    def renew_interval(self) -> float:
        """Between two renewals of a lease and two scans of the lease table: a third of `failover_time`, as in KCL."""
        return self.failover_time / 3


def options_from_url(url: URL, app_id: str) -> KinesisOptions:
    """Read the options from a broker URL's query, `kinesis://?application=a&start=latest`.

    The application is the app's id and the worker id this host's name unless they are given.

    Raises ConfigurationError: an option is unknown or its value is not allowed; the message names each.
    """
    named: Mapping[str, str] = {"application": app_id, "worker_id": socket.gethostname()}
    try:
        given = _once_each(url.query.items())
    except ValueError as error:
        raise ConfigurationError(f"the broker URL {url} has options that cannot work: {error}") from None
    try:
        return KinesisOptions.model_validate({**named, **given})
    except ValidationError as error:
        wrong = "; ".join(
            f"{detail['loc'][0] if detail['loc'] else 'options'}: {detail['msg']}" for detail in error.errors()
        )
        raise ConfigurationError(f"the broker URL {url} has options that cannot work: {wrong}") from error
