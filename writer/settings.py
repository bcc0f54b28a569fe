"""Settings of the writer: the shared ones, and ``KINFOLD_WRITER_...``."""

from pydantic import Field

from ledger.tracing.settings import TracedSettings


class WriterSettings(TracedSettings):
    """What ``kinfold writer serve`` reads from the environment."""

    writer_host: str = Field("127.0.0.1", min_length=1, description="the address to listen on")
    writer_port: int = Field(8080, ge=0, le=65535, description="the port to listen on; 0 takes a free one")
    writer_threads: int = Field(
        32, ge=1, le=512, description="commands and reads under way at once, each with a connection of its own"
    )
    writer_conflict_retries: int = Field(
        8, ge=0, le=100, description="how often a command without If-Match is decided anew after a conflict"
    )
    writer_queue: int = Field(64, ge=0, description="requests that may wait for a thread; one more gets 503")
    writer_queue_wait: float = Field(2.0, gt=0, le=60, description="seconds that a request may wait for a thread")
    writer_patience: float = Field(
        2.0,
        gt=0,
        le=60,
        description="seconds for which a command is tried again while DynamoDB throttles or other writers are faster",
    )
    writer_read_timeout: float = Field(5.0, gt=0, le=60, description="seconds to wait for an answer of DynamoDB")
    writer_aggregates: int = Field(
        10_000,
        ge=0,
        le=10_000_000,
        description="aggregates held in memory, so that a command on one needs no read; 0 switches that off",
    )
    writer_key_retention: int = Field(
        86_400, ge=60, description="seconds for which an Idempotency-Key is remembered with its answer"
    )
    snapshot_interval: int = Field(
        50,
        ge=0,
        le=1_000_000,
        description="events between two snapshots of an aggregate, and read at once by a load; 0: no snapshots",
    )
    writer_max_headers: int = Field(8_192, ge=512, le=16_384, description="the largest request head, in bytes")
    writer_max_body: int = Field(65_536, ge=256, description="the largest request body, in bytes")
    writer_drain_timeout: int = Field(
        30, ge=1, description="seconds for which a stopping writer waits for the requests it has accepted"
    )
