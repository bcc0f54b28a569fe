"""``kinfold up``: the embedded AWS and all services, until Ctrl-C."""

import contextlib
import json
import shutil
import signal
import time
from collections.abc import Callable
from types import FrameType, FunctionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer

from kinfold.choices import (
    BRIDGE_HELP,
    DEFAULT_PROFILE,
    BridgeChoice,
    ConsumerOption,
    DataDirOption,
    DomainOption,
)
from ledger.runtime.cli_input import http_url

if TYPE_CHECKING:
    from kinfold.local.stack import Stack

EPILOG: Final = (
    "Exit codes: 0 after Ctrl-C, 1 a service ended by itself, 2 a port or a setting cannot be used, 6 another one runs "
    "for the profile, 75 an endpoint did not start or ended."
)
_POLL: Final = 0.3


class _StopRequestedError(Exception):
    """SIGINT or SIGTERM arrived."""


def up(
    endpoint_url: Annotated[
        str | None,
        typer.Option(
            "--endpoint-url",
            envvar="AWS_ENDPOINT_URL",
            callback=http_url,
            help="Use this endpoint; without it the embedded AWS is started.",
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option(envvar="KINFOLD_PROFILE", help="Names the tables and the stream.")
    ] = DEFAULT_PROFILE,
    shards: Annotated[int, typer.Option(min=1, max=10_000, help="Shards of a new stream.")] = 2,
    domain: DomainOption = "betting",
    consumer: ConsumerOption = "polling",
    bridge: Annotated[BridgeChoice, typer.Option(envvar="KINFOLD_BRIDGE", help=BRIDGE_HELP)] = "native",
    writer_port: Annotated[int, typer.Option(min=0, max=65535, help="The writer's port, 0 for a free one.")] = 8080,
    projector_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The projector's port, 0 for a free one.")
    ] = 6066,
    bridge_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port of the watch or the relay, 0 for a free one.")
    ] = 6067,
    console: Annotated[bool, typer.Option(help="Serve the console, too.")] = True,
    console_port: Annotated[int, typer.Option(min=0, max=65535, help="The console's port, 0 for a free one.")] = 6070,
    aws_port: Annotated[int, typer.Option(min=0, max=65535, help="The embedded AWS's port, 0 for a free one.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the URLs as one JSON object on standard output once all is ready.")
    ] = False,
    data_dir: DataDirOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show the URLs, and of the logs only warnings and worse.")
    ] = False,
) -> None:
    """Run AWS, the bridge with its watch (or the relay), writer, projector and console on this machine until Ctrl-C.

    The embedded AWS needs no Docker and no account. Its state ends with it, unless --data-dir names a folder that keeps
    it: the next start goes on where this one was stopped. The services are the processes that production runs, and
    their logs appear here with their names. A second Ctrl-C kills instead of stopping.

    Every other command of the same user and profile, in any terminal, finds what runs here by itself, as long as
    AWS_ENDPOINT_URL does not name another endpoint: a file in ~/.local/state/kinfold says where it is, and goes when it
    stops. One `kinfold up` runs a profile. Where `kinfold aws` runs for the profile, its AWS is used.

    [dim]$[/dim] kinfold up
    [dim]$[/dim] kinfold up --quiet
    [dim]$[/dim] kinfold up --data-dir ~/kinfold-data
    [dim]$[/dim] kinfold up --endpoint-url http://127.0.0.1:4566 --writer-port 0
    """
    from kinfold.local.child import temporary_folder
    from kinfold.local.embedded_aws import LocalAws
    from kinfold.local.environment import service_clients
    from kinfold.local.kept.data_dir import held
    from kinfold.local.running import claimed, look
    from kinfold.local.service_logs import followed
    from kinfold.local.stack import Stack
    from ledger.aggregates.domain import load_domain
    from ledger.errors import ConfigurationError
    from ledger.runtime.cli_output import tell
    from ledger.runtime.logs import in_json
    from ledger.runtime.sockets import LOOPBACK, claim_ports

    if data_dir is not None and endpoint_url is not None:
        raise typer.BadParameter(
            "only the embedded AWS has one, and --endpoint-url names another", param_hint="--data-dir"
        )
    # Before anything is started, in place of in the log of one of the services.
    service_clients(endpoint_url or f"http://{LOOPBACK}", profile)
    load_domain(domain)
    report: Callable[[str], None] = (lambda _: None) if quiet else tell
    with contextlib.ExitStack() as cleanup, _Signals(report) as signals:
        claim = cleanup.enter_context(claimed("up", profile))
        ports = {"writer": writer_port, "projector": projector_port, "bridge": bridge_port, "aws": aws_port}
        ports["console"] = console_port if console else 0
        with claim_ports({f"--{name}-port": port for name, port in ports.items()}) as free:
            writer_port, projector_port, bridge_port, aws_port, console_port = free.values()
        aws, running = None, look("aws", profile).running
        if endpoint_url is None and running is not None and running.endpoint is not None:
            if data_dir is not None:
                raise ConfigurationError(f"--data-dir is for an AWS of its own: give it to {running}, or stop that")
            report(f"on the AWS of {running}")
            endpoint_url = running.endpoint
        if endpoint_url is None:
            data = cleanup.enter_context(held(data_dir, report)) if data_dir is not None else None
            report("the embedded AWS starts")
            aws = LocalAws(aws_port, data)
            cleanup.callback(aws.stop)
        endpoint = endpoint_url or (aws.url if aws else "")
        # Its own directory and not the stack's: the last lines are shown after the services have stopped.
        log_dir = temporary_folder("kinfold-logs-")
        cleanup.push(lambda kind, *_: shutil.rmtree(log_dir, ignore_errors=True) if kind is None else None)
        settings = {"KINFOLD_CONSUMER": consumer, "KINFOLD_DOMAIN": domain}
        stack = Stack(
            endpoint,
            profile=profile,
            shards=shards,
            log_dir=log_dir,
            env=settings,
            bridge=bridge,
            writer_port=writer_port,
            projector_port=projector_port,
            bridge_port=bridge_port,
            console_port=console_port if console else None,
            report=report,
        )
        signals.stack = stack
        # What `bridge ensure` prints is a page, and the end of its log is told when it fails.
        logs = {name: log for name, log in stack.logs.items() if in_json() or name != "bridge"}
        cleanup.enter_context(followed(logs, quiet=quiet))
        cleanup.enter_context(stack)
        claim.publish(endpoint, stack.region, stack.urls, {**settings, "KINFOLD_BRIDGE": bridge, **stack.account})
        _announce(stack, endpoint, profile, domain, as_json=as_json)
        while True:
            time.sleep(_POLL)
            stack.check()
            if aws is not None:
                aws.check()


class _Signals:
    """The first SIGINT or SIGTERM ends the block; one more, while all is being stopped, kills the services.

    The handlers stay: what comes after the block is the stopping, and nothing may interrupt it.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.stack: Stack | None = None
        self._report = report
        self._ending = False

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        self._ending = True
        return kind is not None and issubclass(kind, _StopRequestedError)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if not self._ending:
            self._ending = True
            self._report("stopping; once more to kill")
            raise _StopRequestedError
        if self.stack is not None:
            self.stack.kill()


def _announce(stack: "Stack", endpoint: str, profile: str, domain: str, *, as_json: bool) -> None:
    if as_json:
        running = {"aws": endpoint, "profile": profile, "logs": str(stack.log_dir), **stack.urls}
        typer.echo(json.dumps({**running, "pids": stack.pids}))
        return
    console = f"  console    {stack.urls['console']}\n" if "console" in stack.urls else ""
    typer.echo(
        f"""
{console}  writer     {stack.writer.url}/docs
  projector  {stack.projector.url}/ready
  {stack.bridge.name:<10} {stack.bridge.url}/ready
  AWS        {endpoint} (profile {profile})
  logs       {stack.log_dir}
{_example(stack, domain)}
Ctrl-C stops everything.
"""
    )


def _example(stack: "Stack", domain: str) -> str:
    """A first command of the domain, and where its effect is read."""
    from kinfold.domain.traffic import commands
    from ledger.aggregates.domain import load_domain
    from projector.projection import Projection
    from writer.traffic import TrafficPlan

    found = load_domain(domain)
    traffic: Any = found.parts("TRAFFIC", FunctionType)
    if not traffic:
        return ""
    sign = ' -H "authorization: Bearer $KINFOLD_TOKEN"' if stack.guarded else ""
    command = next(commands(traffic, TrafficPlan(1, "alice", 0)))
    reads = "".join(
        f"  curl -s{sign} '{stack.projector.url}/{each.path}/{command.aggregate_id}?min_version=1'\n"
        for each in found.parts("PROJECTIONS", Projection)
        if each.takes(command.aggregate_id)
    )
    return f"""
A first command, and what the projector made of it:

  curl -s{sign} {stack.writer.url}{command.path} -H 'content-type: application/json' \\
       -d '{json.dumps(command.body)}'
{reads}"""
