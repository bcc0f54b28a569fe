"""The Faust app: one agent that folds the stream, and its web server."""

import platform
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import faust

from faust_kinesis.agents import batch_topic
from faust_kinesis.options import KinesisOptions, parse_properties
from faust_kinesis.transport import configure
from ledger.runtime.auth import Access
from ledger.runtime.aws import Clients
from ledger.runtime.sockets import address
from ledger.store.tables import Names
from projector.components import Components, build_components
from projector.http.authentication import MAX_BODY, guard, scope_of
from projector.http.dead_letters import mount_operations
from projector.http.document import mount_document
from projector.http.health import mount_views
from projector.http.lists import mount_lists
from projector.http.queries import mount_queries
from projector.http.server import Server
from projector.ingest.gathering import Gathering
from projector.settings import ProjectorSettings
from projector.status.gauges import Gauges

if TYPE_CHECKING:
    from ledger.tracing.tracing import Tracing
    from projector.ingest.batch_trace import BatchTrace


class _App(faust.App):
    """Faust's app without its folder of data: all that is kept is in DynamoDB."""

    def _create_directories(self) -> None:
        """Make none."""


@dataclass(frozen=True, slots=True)
class ProjectorApp:
    """A built projector: the Faust app to run, and the pool to close after it."""

    faust: faust.App
    components: Components
    executor: ThreadPoolExecutor


def build_app(
    settings: ProjectorSettings,
    clients: Clients,
    access: Access,
    bound: socket.socket,
    tracing: "Tracing | None" = None,
) -> ProjectorApp:
    """Wire the projector. It starts nothing and calls nothing: the returned app does, once it is run.

    ``access``: who may call its web server, which listens on ``bound``.
    """
    executor = ThreadPoolExecutor(settings.write_concurrency, thread_name_prefix="row-write")
    components = build_components(settings, clients, executor)
    names = components.names
    handler = components.batch_handler(_trace_of_batch(tracing))
    app = _App(
        names.leases,
        broker="kinesis://",
        store="memory://",
        autodiscover=False,
        canonical_url=address(bound),
        web_application_options={"client_max_size": MAX_BODY},
    )
    # DynamoDB and Kinesis have a pool each.
    limits = settings.limits(2 * settings.aws_connections)
    app.web = Server(app, bound, access, limits)
    transport = configure(app, _options(settings, names), kinesis=clients.kinesis, dynamodb=clients.dynamodb)
    scope = scope_of([each.path for each in components.projections])
    guard(app, access, settings.http_body_timeout, scope)
    mount_views(app, handler, components.guard, components.metrics, Gauges(components), transport.status)
    mount_queries(app, components.models, handler.wakeups, components.guard, most_waiting=limits.connections // 2)
    mount_lists(app, components.models, components.guard)
    mount_operations(app, components)
    mount_document(app, scope)

    @app.agent(batch_topic(app, names.stream))
    async def project(batches: Any) -> None:
        """Apply what comes together at once. An error that escapes stops the worker before any checkpoint."""
        gathering = Gathering(same_moment=settings.consumer == "polling")
        async for batch in batches:
            if together := await gathering.add(batch, batches.channel.queue):
                await handler.handle(together)

    return ProjectorApp(app, components, executor)


def _trace_of_batch(tracing: "Tracing | None") -> "Callable[[], BatchTrace] | None":
    if tracing is None:
        return None
    from projector.ingest.batch_trace import BatchTrace

    return partial(BatchTrace, tracing)


def _options(settings: ProjectorSettings, names: Names) -> KinesisOptions:
    return KinesisOptions(
        application=names.leases,
        worker_id=settings.worker_id or platform.node(),
        start=settings.start,
        batch_size=settings.batch_size,
        poll_interval=settings.poll_interval,
        failover_time=settings.failover_time,
        consumer=settings.consumer,
        batch_timeout=settings.batch_timeout,
        daemon_timeout=settings.daemon_timeout,
        java_heap_mb=settings.java_heap_mb,
        kcl_properties=parse_properties(settings.kcl_properties),
    )
