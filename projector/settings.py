"""Settings of the projector."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from faust_kinesis.options import StartingPosition, parse_properties
from ledger.tracing.settings import TracedSettings


class ProjectorSettings(TracedSettings):
    """What ``kinfold projector run`` reads from the environment."""

    projector_host: str = Field("127.0.0.1", min_length=1, description="address of the projector's web server")
    projector_port: int = Field(
        6066, ge=0, le=65535, description="port of the projector's web server; 0 takes a free one"
    )
    worker_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")] | None = Field(
        None, description="stable and unique per replica: a restarted worker takes its own leases back at once"
    )
    start: StartingPosition = Field(
        "trim-horizon", description="where a shard without a checkpoint starts: trim-horizon, latest or an ISO time"
    )
    batch_size: int = Field(5000, ge=1, le=10_000, description="records in one GetRecords call")
    poll_interval: float = Field(
        0.25, ge=0.2, le=10, description="seconds between two reads of a shard; Kinesis allows five reads a second"
    )
    failover_time: float = Field(10, ge=1, le=300, description="seconds after which a silent worker's leases are taken")
    cache_size: int = Field(100_000, ge=1, description="rows kept in memory for each read model, about 1 KB each")
    storm_limit: int = Field(
        100,
        ge=1,
        description="aggregates halted in a minute above which the worker stops: a bad deploy, not bad events",
    )
    consumer: Literal["polling", "kcl"] = Field(
        "polling", description="polling: one process reads every shard; kcl: Amazon's KCL shares them among workers"
    )
    batch_timeout: float = Field(
        300,
        ge=1,
        le=604_800,
        description="kcl: seconds for which batches may wait with none done, then the worker ends",
    )
    daemon_timeout: float = Field(
        60,
        ge=10,
        le=604_800,
        description="kcl: seconds without a sign of life of the Java process, then the worker ends",
    )
    java_heap_mb: int = Field(256, ge=64, description="kcl: the cap on the Java process's heap, in MB")
    kcl_properties: str = Field(
        "", description="kcl: properties of Amazon's MultiLangDaemon: name=value,name=value or a JSON object"
    )
    write_concurrency: int = Field(4, ge=1, le=64, description="bulk writes under way at once")

    @property
    def aws_connections(self) -> int:
        """Connections to each service of AWS: one for each bulk write, and for the reads beside them."""
        return self.write_concurrency + 32

    @field_validator("kcl_properties")
    @classmethod
    def _are_properties(cls, value: str) -> str:
        parse_properties(value)
        return value
