"""Made-up commands of a domain, with which the demo and the load try the writer: the same for the same seed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """What is asked for: commands on ``count`` aggregates, whose ids begin with ``prefix``, which is new to the ledger.

    ``stream`` tells apart the generators of one run, which share the aggregates: no two may use up the same id.
    """

    count: int
    prefix: str
    seed: int
    stream: int = 0


@dataclass(frozen=True, slots=True)
class MadeUpCommand:
    """One HTTP command: of which aggregate (by its key), where it is posted, what, and whether it must be refused."""

    aggregate_id: str
    path: str
    body: Mapping[str, Any]
    refused: bool = False


#: An endless source of commands. A domain names its own in ``TRAFFIC``.
Traffic = Callable[[TrafficPlan], Iterator[MadeUpCommand]]
