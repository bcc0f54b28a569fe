"""What an app needs to declare an agent over a stream.

    topic = batch_topic(app, "domain-events-local")

    @app.agent(topic)
    async def project(batches):
        async for batch in batches:
            await work(batch.records)
            batch.complete()

An exception that leaves the agent stops the worker with a non-zero exit code, and the batch in hand comes again.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import faust
from faust.types import AppT, Message, TopicT
from mode.supervisors import SupervisorStrategy
from mode.types import ServiceT
from typing_extensions import override

from faust_kinesis.errors import ConfigurationError
from faust_kinesis.records import RecordBatch


class BatchSchema(faust.Schema[Any, Any]):
    """Passes a `RecordBatch` through Faust's decoding untouched. Values to send are bytes."""

    def __init__(self) -> None:
        super().__init__(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @override
    def loads_key(self, app: AppT, message: Message, **options: Any) -> None:
        """A batch has no key: its records have."""

    @override
    def loads_value(self, app: AppT, message: Message, **options: Any) -> RecordBatch:
        """The batch itself."""
        return cast("RecordBatch", message.value)


def batch_topic(app: faust.App, stream: str) -> TopicT:
    """The topic of a stream, whose agents receive a `RecordBatch` at a time, and to which bytes can be sent."""
    topic: TopicT = app.topic(stream, schema=BatchSchema())
    return topic


class StopWorkerSupervisor(SupervisorStrategy):
    """Ends the worker when an agent fails.

    Faust's default restarts the agent, which would continue after the failed batch. mode's CrashingSupervisor ends the
    worker, but also treats the cancellation of an agent in an ordinary stop as a crash.
    """

    async def restart_services(self, services: list[ServiceT]) -> None:
        """Crash the worker with the first agent's error; restart agents that were merely cancelled."""
        for service in services:
            reason = service.crash_reason
            if reason is not None and not isinstance(reason, asyncio.CancelledError):
                await self.crash(reason)
                return
        await super().restart_services(services)


def check_agents(app: AppT, topics: set[str]) -> None:
    """Reject agents that would lose batches or hide failures.

    Raises ConfigurationError: a topic was not made by `batch_topic`, or an agent has a supervisor that restarts it.
    """
    for topic in app.topics:
        if topics & set(topic.topics) and not isinstance(topic.schema, BatchSchema):
            raise ConfigurationError(
                f"topic {topic.get_topic_name()} is read as records of its own type, and Kinesis comes in batches:"
                " declare it by faust_kinesis.agents.batch_topic(app, stream)"
            )
    for agent in app.agents.values():
        strategy: type = agent.supervisor_strategy or app.conf.agent_supervisor  # type: ignore[assignment]
        if topics & set(agent.get_topic_names()) and not issubclass(strategy, StopWorkerSupervisor):
            raise ConfigurationError(
                f"agent {agent.name} is supervised by {strategy.__name__}, which would go on after a failure:"
                " leave its supervisor_strategy and the app's agent_supervisor to the transport"
            )
