"""An aggregate in the read models, as readers get it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger.errors import ResourceError
from projector.components import Components
from projector.projection import Projection, Row


@dataclass(frozen=True, slots=True)
class ServedRow:
    """What one read model has of an aggregate: its head, and its last parts. ``trouble``: why it cannot be shown."""

    projection: Projection[Any]
    head: Row[Any] | None
    parts: Sequence[Row[Any]] = ()
    trouble: str | None = None

    @property
    def version(self) -> int:
        """How many events are folded into it."""
        return self.head.version if self.head is not None else 0


def served_rows(components: Components, key: str, parts: int) -> list[ServedRow]:
    """The rows of every read model that takes the aggregate, each with so many parts at most.

    Raises ThrottledError, EndpointError.
    """
    return [_row(components, each, key, parts) for each in components.projections if each.takes(key)]


def _row(components: Components, projection: Projection[Any], key: str, parts: int) -> ServedRow:
    try:
        model = components.models.active(projection)
        head = model.get(key)
        return ServedRow(projection, head, model.last_parts(key, parts) if head and projection.part_name else ())
    except ResourceError as error:
        return ServedRow(projection, None, trouble=str(error))
