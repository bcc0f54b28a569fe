"""The kit for tests of domains: plain pytest, and hypothesis for the contracts. Needs the extra ``testing``.

``given(...).when(...).then(...)`` tells what an aggregate decides, ``project(...)`` what a projection makes of events.
``AggregateContract`` and ``ProjectionContract`` hold either to what the machine relies on.
"""

from kinfold.testing.aggregate_contract import AggregateContract
from kinfold.testing.contract import OldPayloads
from kinfold.testing.history import Dated, History, at
from kinfold.testing.projected import Projected, project
from kinfold.testing.projection_contract import ProjectionContract
from kinfold.testing.scenario import Given, When, given
from kinfold.testing.strategies import commands, histories, ids

__all__ = [
    "AggregateContract",
    "Dated",
    "Given",
    "History",
    "OldPayloads",
    "Projected",
    "ProjectionContract",
    "When",
    "at",
    "commands",
    "given",
    "histories",
    "ids",
    "project",
]
