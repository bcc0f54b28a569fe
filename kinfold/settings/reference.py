"""Every setting there is, from the settings themselves: its variable, default, what it may be, and what it is for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from console.settings import ConsoleSettings
from kinfold.health import TOKEN_VARIABLE
from ledger.runtime.settings import GuardedSettings, Settings
from ledger.tracing.settings import TracedSettings
from projector.settings import ProjectorSettings
from stream_bridge.settings import BridgeDaemonSettings, BridgeSettings, RelaySettings, WatchSettings
from writer.settings import WriterSettings

#: Who reads what a class of settings adds to those it is made of.
READERS: Final[dict[type[Settings], str]] = {
    Settings: "every service and command",
    GuardedSettings: "every service with a port",
    TracedSettings: "kinfold writer serve, kinfold projector run",
    WriterSettings: "kinfold writer serve",
    ProjectorSettings: "kinfold projector",
    BridgeSettings: "kinfold bridge",
    BridgeDaemonSettings: "kinfold bridge watch, kinfold bridge relay",
    RelaySettings: "kinfold bridge relay",
    WatchSettings: "kinfold bridge watch",
    ConsoleSettings: "kinfold console serve",
}
_CLIENTS: Final = "kinfold load, kinfold health"
_BOUNDS: Final = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of one reader. ``default`` is as it would be written into the environment; "" is unset or empty."""

    variable: str
    default: str
    allowed: str
    description: str
    read_by: str


def all_settings() -> Iterator[Setting]:
    """Every setting, in the order of ``READERS``."""
    for kind, reader in READERS.items():
        inherited = {name for base in kind.__mro__[1:] for name in getattr(base, "model_fields", {})}
        for name, field in kind.model_fields.items():
            if name not in inherited:
                yield Setting(_variable(name, field), _default(field), _allowed(field), field.description or "", reader)
    token = "a token of `kinfold token`, sent as Authorization: Bearer"  # noqa: S105 - a text
    yield Setting(TOKEN_VARIABLE, "", "", token, _CLIENTS)


def markdown() -> str:
    """The page docs/settings.md."""
    readers = dict.fromkeys(each.read_by for each in all_settings())
    return "\n".join([_HEAD, *map(_section, readers)])


_HEAD: Final = """# Settings

Every setting is a variable of the environment, read once at start. A value that cannot be is refused with a message
that names it (exit code 2), and a name that nobody reads is warned of. `kinfold settings` prints this for the version
at hand, and marks what is set where it runs. `.env.example` has the variables of docker-compose.yml.

This page is made by `make settings`; a test holds it to the code.
"""


def _section(reader: str) -> str:
    rows = [each for each in all_settings() if each.read_by == reader]
    lines = ["| variable | default | may be | what it is |", "| --- | --- | --- | --- |"]
    for each in rows:
        default = f"`{each.default}`" if each.default else ""
        cells = (f"`{each.variable}`", default, each.allowed, each.description.replace("|", "\\|"))
        lines.append(f"| {' | '.join(cells)} |")
    title = f"`{reader.replace(', ', '`, `')}`" if reader.startswith("kinfold") else reader.capitalize()
    return "\n".join([f"## {title}", "", *lines, ""])


def _variable(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"{Settings.model_config['env_prefix']}{name.upper()}"


def _default(field: FieldInfo) -> str:
    return "" if field.default in (None, ()) else str(field.default)


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return " or ".join(map(str, get_args(field.annotation)))
    bounds: list[str] = []
    for rule in field.metadata:
        for name, text in _BOUNDS.items():
            bound: Any = getattr(rule, name, None)
            if bound is not None:
                bounds.append(text.format(f"{bound:,}"))
    return ", ".join(bounds)
