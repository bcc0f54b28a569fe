"""Settings of a service that traces, and whether it does. OpenTelemetry is imported only where it does."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import AnyHttpUrl, BeforeValidator, Field

from ledger.errors import ConfigurationError
from ledger.runtime.settings import GuardedSettings

if TYPE_CHECKING:
    from ledger.tracing.tracing import Tracing


class TracedSettings(GuardedSettings):
    """What a service adds that can send traces."""

    traces_url: Annotated[AnyHttpUrl | None, BeforeValidator(lambda value: value or None)] = Field(
        None,
        description="where traces go: a collector's URL for OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces; "
        "unset: no traces",
    )
    traces_ratio: float = Field(
        1.0, ge=0, le=1, description="which share of requests is traced, where the client has not decided it"
    )

    @contextlib.contextmanager
    def tracing(self, service: str) -> Iterator["Tracing | None"]:
        """What makes the spans of a service while the block runs, and sends the last ones at its end; None: no traces.

        Raises ConfigurationError where OpenTelemetry is not installed.
        """
        if self.traces_url is None:
            yield None
            return
        try:
            from ledger.tracing.tracing import Tracing
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"KINFOLD_TRACES_URL is set, and {error.name} is not installed: install kinfold[otel], or unset it"
            ) from None
        tracing = Tracing.to_collector(str(self.traces_url), service, self.profile, self.traces_ratio)
        try:
            yield tracing
        finally:
            tracing.close()
