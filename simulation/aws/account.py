"""One AWS account in memory: its services, the operations that they answer, and a network without faults."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

from botocore import xform_name

from simulation.aws.control_plane import ControlPlane, Deliver
from simulation.aws.streams.kinesis import Kinesis
from simulation.aws.streams.table_stream import TableStreams
from simulation.aws.tables.dynamodb import PAGE_BYTES, DynamoDB
from simulation.aws.wire.network import Fate, Handler, Network, Request

_AT_ONCE: Final = Fate()


class FairWeather:
    """Lets every call through, whole and at once."""

    def fate(self, operation: str, request: Request) -> Fate:
        """See `Weather.fate`."""
        return _AT_ONCE

    def partial(self, operation: str, request: Request) -> None:
        """See `Weather.partial`."""


class Account:
    """The services of one account. A change reaches its table's destination at once, or as ``deliver`` says."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        random: Random | None = None,
        staleness: float = 0.0,
        page_bytes: int = PAGE_BYTES,
        stream_shards: int = 1,
        deliver: Deliver | None = None,
    ) -> None:
        """See `DynamoDB` and `ControlPlane`."""
        self.dynamodb = DynamoDB(
            clock=clock,
            random=random or Random(0),
            staleness=staleness,
            page_bytes=page_bytes,
        )
        self.kinesis = Kinesis(clock=clock)
        self.streams = TableStreams()
        self.control = ControlPlane(
            self.dynamodb,
            self.streams,
            self.kinesis,
            clock=clock,
            deliver=deliver or self._deliver,
            stream_shards=stream_shards,
        )
        self._clock = clock

    def operations(self) -> dict[str, Handler]:
        """What is answered, by names such as ``dynamodb.PutItem``."""
        services: tuple[tuple[str, Any], ...] = (
            ("dynamodb", self.dynamodb),
            ("dynamodb", self.control),
            ("kinesis", self.kinesis),
            ("dynamodbstreams", self.streams),
        )
        return {
            f"{service}.{operation}": getattr(answering, xform_name(operation))
            for service, answering in services
            for operation in answering.OPERATIONS
        }

    def network(self) -> Network:
        """The way to the account: nothing is ever lost or late on it."""
        return Network(
            self.operations(),
            FairWeather(),
            sleep=lambda _: None,
            later=lambda *_: None,
            now=self._clock,
        )

    def _deliver(self, stream: str, partition_key: str, data: bytes) -> None:
        self.kinesis.streams[stream].put(partition_key, data)
