"""The made-up commands of a domain."""

import itertools
from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import Any

from ledger.aggregates.domain import load_domain
from ledger.errors import ConfigurationError
from writer.traffic import MadeUpCommand, Traffic, TrafficPlan


def sources(domain: str) -> Sequence[Traffic]:
    """The domain's sources of commands. Raises ConfigurationError when it has none."""
    found: Sequence[Any] = load_domain(domain).parts("TRAFFIC", FunctionType)
    if not found:
        raise ConfigurationError(f"domain {domain} brings no TRAFFIC, so there is nothing to send: docs/extending.md")
    return found


def commands(traffic: Sequence[Traffic], plan: TrafficPlan) -> Iterator[MadeUpCommand]:
    """The commands of one client: each source's in turn."""
    turns = itertools.cycle([source(plan) for source in traffic])
    return (next(each) for each in turns)
