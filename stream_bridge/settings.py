"""Settings of the bridge, read by its composition root."""

from typing import Annotated

from pydantic import Field, StringConstraints

from ledger.settings import Settings

StreamArn = Annotated[
    str, StringConstraints(pattern=r"^arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream/[a-zA-Z0-9_.-]+$")
]


class BridgeSettings(Settings):
    """What the bridge needs beside the shared settings."""

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
        300, ge=0, description="seconds to wait for a stream or destination to become ACTIVE; AWS takes about a minute"
    )
