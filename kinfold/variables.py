"""Variables KINFOLD_... of the environment that nobody reads: misspelt, most of them."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Final

from ledger.runtime.settings import Settings
from projector.settings import ProjectorSettings
from stream_bridge.settings import RelaySettings, WatchSettings
from writer.settings import WriterSettings

_PREFIX: Final = "KINFOLD_"
#: What Kubernetes puts into every container for a service of its own whose name starts with "kinfold-".
_SERVICE_LINK: Final = re.compile(r".+_SERVICE_(HOST|PORT(_.+)?)|.+_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")
_SERVICE_LINK_URL: Final = re.compile(r"(tcp|udp|sctp)://.+")


def known_variables() -> frozenset[str]:
    """Every variable KINFOLD_... that a service or a command reads."""
    kinds: tuple[type[Settings], ...] = (WriterSettings, ProjectorSettings, RelaySettings, WatchSettings)
    fields = {name for kind in kinds for name, field in kind.model_fields.items() if field.validation_alias is None}
    return frozenset({_PREFIX + name.upper() for name in fields} | {"KINFOLD_TOKEN"})


def unknown_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Each variable that nobody reads, with the nearest one that somebody does, if one is near.

    Names count in any case, as settings are read. Kubernetes' service links are somebody else's, and left out.
    """
    known = known_variables()
    for variable, value in sorted(environ.items()):
        name = variable.upper()
        if not name.startswith(_PREFIX) or name in known:
            continue
        if _SERVICE_LINK.fullmatch(name) or (name.endswith("_PORT") and _SERVICE_LINK_URL.fullmatch(value)):
            continue
        yield variable, next(iter(difflib.get_close_matches(name, known, n=1)), None)
