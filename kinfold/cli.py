"""The ``kinfold`` command: one front door to every service, and one way in which commands fail."""

import importlib
import inspect
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import structlog
import typer
import typer.core
import typer.main
from typer.exceptions import TyperException

from kinfold.audit import audit
from kinfold.choices import RUNNING, services
from kinfold.domain.command import domain
from kinfold.health import TIMEOUT, TOKEN_VARIABLE, ask
from kinfold.inspection.account import EPILOG as ACCOUNT_EPILOG
from kinfold.inspection.account import account
from kinfold.inspection.events import EPILOG as EVENTS_EPILOG
from kinfold.inspection.events import events
from kinfold.inspection.top import EPILOG as TOP_EPILOG
from kinfold.inspection.top import top
from kinfold.load.command import load
from kinfold.local.aws import EPILOG as AWS_EPILOG
from kinfold.local.aws import aws
from kinfold.local.up import EPILOG as UP_EPILOG
from kinfold.local.up import up
from kinfold.restore.command import EPILOG as RESTORE_EPILOG
from kinfold.restore.command import restore
from kinfold.settings.command import settings
from ledger.errors import ConfigurationError, KinfoldError, TransientError
from ledger.runtime.auth import Credential, Scope, digest, new_token
from ledger.runtime.cli_input import bearer_token, check_proxy, http_url
from ledger.runtime.environment import keep_own_variables
from ledger.runtime.logs import configure_logs
from ledger.runtime.start_signals import signals_end_the_start

if TYPE_CHECKING:
    from aws_client.tables import TableSpec
    from ledger.store.tables import Names

#: Command, the module of its Typer app, and its line in ``kinfold --help``. A service is imported when it is used:
#: the web framework and the daemon would cost every other command most of a second.
SERVICES: Final = {
    "bridge": ("stream_bridge.cli", "Join the events table to the Kinesis stream."),
    "writer": ("writer.cli", "Commands in over HTTP, events out."),
    "projector": ("projector.cli", "Fold the stream into read models."),
    "console": ("console.cli", "See a ledger in a browser, and act on it."),
}

#: What runs until a signal comes, and is not interrupted by one while it starts.
_LONG_RUNNING: Final = frozenset(
    {("writer", "serve"), ("projector", "run"), ("bridge", "watch"), ("bridge", "relay"), ("console", "serve")}
)

#: What finds by itself what runs on this machine for its profile.
_CONNECTED: Final = frozenset({*SERVICES, "audit", "restore", "load", "health", "top", "account", "events"})
#: What asks for help, so that nothing is looked for.
_HELP: Final = frozenset({"-h", "--help"})

#: With what a shell asks for completions, as `--install-completion` has it.
COMPLETE: Final = "_KINFOLD_COMPLETE"

EPILOG: Final = (
    "Exit codes: 0 done, 1 failed, 2 bad settings or arguments, 75 the endpoint does not answer or throttles (try "
    "again), 130 Ctrl-C. Settings are KINFOLD_... and AWS's own variables; every command has -h."
)


class FrontDoor(typer.core.TyperGroup):
    """The top-level command, which imports the rest of a command when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments name."""
        name = args[0] if args else ""
        if name in SERVICES:
            self.commands[name] = typer.main.get_group(importlib.import_module(SERVICES[name][0]).app)
        elif name == "demo":
            self.commands[name] = typer.main.get_command(importlib.import_module("kinfold.demo.command").app)
        resolved = super().resolve_command(ctx, args)
        # A shell that asks for completions is refused nothing: then there may be no such command.
        if resolved[1] is not None:
            _unwrap_help(resolved[1])
        return resolved


def _unwrap_help(command: Any) -> None:
    """Join the lines of each paragraph of help, so that it wraps at any width; an example a line stays as it is."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(text if "[dim]$[/dim]" in text else text.replace("\n", " ") for text in paragraphs)
    for each in getattr(command, "commands", {}).values():
        _unwrap_help(each)


app = typer.Typer(
    cls=FrontDoor,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    # Every command below inherits these.
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
    help="An event-sourced ledger on DynamoDB, projected through Kinesis.\n\n"
    "Try it on this machine, without Docker or an account: [bold]kinfold demo[/bold] runs the main job once, "
    "[bold]kinfold up[/bold] keeps it running, and every other command then finds it by itself.\n\n"
    "[dim]$[/dim] kinfold up\n[dim]$[/dim] kinfold top",
)
app.command("demo", help="Append, stream, project, and prove that every read model agrees.")(lambda: None)
app.command(epilog=UP_EPILOG)(up)
app.command(epilog=AWS_EPILOG)(aws)
app.command(epilog="Exit codes: 0 all events are appended, 1 unexpected answers, 75 the writer does not answer.")(load)
app.command(epilog=TOP_EPILOG)(top)
app.command(epilog=ACCOUNT_EPILOG)(account)
app.command(epilog=EVENTS_EPILOG)(events)
app.command(epilog=RESTORE_EPILOG)(restore)
app.command(epilog="Exit codes: 0 always, 2 bad arguments.")(settings)
app.command(epilog="Exit codes: 0 it can be served, 2 it cannot, or --access names no such template.")(domain)
app.command(epilog="Exit codes: 0 done, 1 there is no audit log yet, 2 bad settings, 75 the endpoint does not answer.")(
    audit
)
for _name, (_, _help) in SERVICES.items():
    app.add_typer(typer.Typer(help=_help), name=_name)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"kinfold {version('kinfold')}")
        raise typer.Exit


def _every_table(names: "Names") -> "tuple[TableSpec, ...]":
    from kinfold.tables import all_specs

    return all_specs(names)


@app.callback()
def _front_door(
    context: typer.Context,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    # A service knows no other's tables: `bridge ensure` and `bridge status` take them from here.
    context.obj = _every_table
    if any(name.startswith("KINFOLD_") for name in os.environ):
        _warn_of_unknown_variables()
    if context.invoked_subcommand in _CONNECTED and not _HELP.intersection(context.args):
        from kinfold.local.connection import connect

        context.meta[RUNNING] = connect()


def _warn_of_unknown_variables() -> None:
    """In the log's format: the first line of a service that logs JSON must be JSON, too."""
    from kinfold.settings.unknown import unknown_variables

    unknown = list(unknown_variables(os.environ))
    if unknown:
        configure_logs("WARNING", "json" if os.environ.get("KINFOLD_LOG_FORMAT") == "json" else "text")
    for name, nearest in unknown:
        action = f"did you mean {nearest}?" if nearest else "remove it, or look for its name in `kinfold settings`"
        structlog.get_logger(__name__).warning("unknown_setting", setting=name, action=action)


@app.command(epilog="Exit codes: 0 it answered with success, 1 it did not.")
def health(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Argument(
            callback=http_url,
            show_default=False,
            help="For example http://127.0.0.1:8080/health; without it, /ready of each service of `kinfold up`.",
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds to wait for the answer.")] = TIMEOUT,
    token: Annotated[
        str | None,
        typer.Option(
            envvar=TOKEN_VARIABLE,
            callback=bearer_token,
            help="A token with the scope operate, for /ready of a guarded service.",
        ),
    ] = None,
) -> None:
    """Ask a service whether it is well, or every service that `kinfold up` runs for this profile.

    For a health check every second, `python -m kinfold.health URL` does the same in a tenth of the time.

    [dim]$[/dim] kinfold health
    [dim]$[/dim] kinfold health http://127.0.0.1:8080/ready
    """
    from ledger.runtime.cli_output import tell_failure

    urls = [url] if url is not None else [f"{each}/ready" for each in services(context).values()]
    if not urls:
        raise typer.BadParameter("no `kinfold up` of this profile runs: name the service to ask", param_hint="URL")
    ill = False
    for each in urls:
        check_proxy(each)
        well, said = ask(each, timeout=timeout, token=token)
        ill |= not well
        if not well:
            tell_failure(said, 1)
        else:
            typer.echo(said if url is not None else f"{each} answers {said}")
    if ill:
        raise typer.Exit(1)


@app.command(epilog="Exit codes: 0 made, 2 bad arguments.")
def token(
    name: Annotated[str, typer.Argument(help="Whom the token stands for; it appears in logs.")],
    scope: Annotated[list[Scope], typer.Option(help="What it allows; repeat the option for several.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Make a token for a client of the services, and the line that the services need to know it.

    The token is shown this once and kept nowhere; KINFOLD_TOKENS holds its hash.

    [dim]$[/dim] kinfold token shop --scope read --scope write
    """
    made = new_token()
    try:
        line = str(Credential.parse(f"{name}:{'+'.join(scope)}:{digest(made).hex()}"))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        typer.echo(json.dumps({"token": made, "setting": line}))
    else:
        typer.echo(f"token for the client, as Authorization: Bearer TOKEN\n  {made}\nadd to KINFOLD_TOKENS\n  {line}")


def main() -> NoReturn:
    """Run the command line and exit: an error that we expect is one message on standard error, not a traceback.

    Of the environment, only Kinfold's, AWS's and the machine's own variables count, for it and its children. With
    KINFOLD_LOG_FORMAT=json that message, or the traceback, is a line of JSON.
    """
    if COMPLETE in os.environ and len(sys.argv) == 1:
        # A shell asks what could follow. It says the rest in variables of its own, which no service is to see.
        app(prog_name="kinfold")
    keep_own_variables()
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a pipe without UTF-8 gets \xfc for what it cannot show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    in_json = os.environ.get("KINFOLD_LOG_FORMAT") == "json"
    runs = tuple(sys.argv[1:3]) in _LONG_RUNNING or sys.argv[1:2] == ["up"]
    # For what happens before a command has read its settings, and for commands that read none.
    configure_logs("INFO" if in_json or runs else "WARNING", "json" if in_json else "text")
    if runs:
        signals_end_the_start()
    try:
        ended = app(_arguments(), prog_name="kinfold", standalone_mode=not in_json)
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        from ledger.runtime.cli_output import tell_failure

        # An error of the command line puts its words together only when asked.
        reason = error.format_message() if isinstance(error, TyperException) else str(error)
        tell_failure(reason or "given up, or no command given: --help lists them", code)
        sys.exit(code)
    sys.exit(ended if isinstance(ended, int) else 0)


def _arguments() -> list[str]:
    """The command line in UTF-8, whatever the locale: Python keeps each byte that the locale has no letter for."""
    return [os.fsencode(each).decode("utf-8", "backslashreplace") for each in sys.argv[1:]]


def exit_code(error: Exception) -> int | None:
    """The exit code of an error that we expect; None for one that we do not."""
    # Only now: the transport's errors come with the transport.
    from faust_kinesis import errors as transport

    if isinstance(error, KinfoldError | TyperException):
        return error.exit_code
    if isinstance(error, transport.ConfigurationError):
        return ConfigurationError.exit_code
    if isinstance(error, transport.TransientError):
        return TransientError.exit_code
    return 1 if isinstance(error, transport.FaustKinesisError | typer.Abort) else None
