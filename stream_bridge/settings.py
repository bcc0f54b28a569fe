"""Settings of the bridge, read by its composition root."""

from typing import Annotated

from pydantic import Field, StringConstraints

from ledger.runtime.settings import GuardedSettings, Settings

StreamArn = Annotated[
    str, StringConstraints(pattern=r"^arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream/[a-zA-Z0-9_.-]+$")
]


class BridgeSettings(Settings):
    """What the bridge adds to the shared settings."""

    shards: int | None = Field(
        None, ge=1, le=10_000, description="shards of a new stream; unset: 1, which carries 1,000 events a second"
    )
    retention_hours: int | None = Field(
        None, ge=24, le=8760, description="hours for which a new stream keeps records; unset: 24, as AWS does"
    )
    stream_key: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = Field(
        None, description="KMS key that encrypts a new stream, such as alias/aws/kinesis; unset: none"
    )
    stream_arn: StreamArn | None = Field(
        None, description="where the stream must be; it is compared with the account and region in use"
    )
    active_timeout: float = Field(
        300,
        ge=0,
        le=604_800,
        description="seconds to wait for a stream or destination to become ACTIVE; AWS takes about a minute",
    )
    failover_time: float = Field(10, ge=1, le=300, description="seconds after which a silent relay's lease is taken")


class BridgeDaemonSettings(BridgeSettings, GuardedSettings):
    """What a daemon of the bridge adds: where its web server listens."""

    bridge_host: str = Field("127.0.0.1", min_length=1, description="address of the daemon's web server")
    bridge_port: int = Field(6067, ge=0, le=65535, description="port of the daemon's web server; 0 takes a free one")


class RelaySettings(BridgeDaemonSettings):
    """What ``kinfold bridge relay`` reads from the environment."""

    worker_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")] | None = Field(
        None, description="stable and unique per replica: a restarted relay takes its own lease back at once"
    )


class WatchSettings(BridgeDaemonSettings):
    """What ``kinfold bridge watch`` reads from the environment."""

    watch_interval: float = Field(5, ge=0.1, le=60, description="seconds between two looks at the destination")
    watch_grace: float = Field(
        20, ge=1, le=3600, description="seconds that an event may take to the stream before it counts as lost"
    )
    watch_poll: float = Field(
        1,
        ge=0.1,
        le=10,
        description="seconds between two reads of a shard; Kinesis allows five a second to all readers",
    )
