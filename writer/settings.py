"""Settings of the writer: the shared ones, and ``KINFOLD_WRITER_...``."""

from pydantic import Field

from ledger.settings import Settings


class WriterSettings(Settings):
    """What ``kinfold writer serve`` reads from the environment."""

    writer_host: str = Field("127.0.0.1", min_length=1, description="the address to listen on")
    writer_port: int = Field(8080, ge=0, le=65535, description="the port to listen on; 0 takes a free one")
    writer_threads: int = Field(
        32, ge=1, le=512, description="commands and reads under way at once, each with a connection of its own"
    )
    writer_conflict_retries: int = Field(
        8, ge=0, le=100, description="how often a command without If-Match is decided anew after a conflict"
    )
    writer_max_body: int = Field(65_536, ge=256, description="the largest request body, in bytes")
    writer_drain_timeout: int = Field(
        30, ge=1, description="seconds for which a stopping writer waits for the requests it has accepted"
    )
