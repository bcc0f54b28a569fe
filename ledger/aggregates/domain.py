"""The domain that a process serves: packages named by ``KINFOLD_DOMAIN``, and what each brings.

A domain is a package. It names what it brings in tuples: ``AGGREGATES`` (``AggregateType``), ``RESOURCES`` (what the
writer serves), ``PROJECTIONS`` (what the projector folds) and ``TRAFFIC`` (what the demo and the load send). The
machine imports no domain; it is handed one by whoever reads the environment.
"""

import importlib
from collections.abc import Sequence
from importlib.metadata import entry_points
from types import ModuleType
from typing import Final, TypeVar

from ledger.aggregates.aggregate_type import AggregateType, AggregateTypes
from ledger.errors import ConfigurationError

T = TypeVar("T")

GROUP: Final = "kinfold.domains"


class Domain:
    """One or several domain packages, together."""

    def __init__(self, packages: Sequence[ModuleType]) -> None:
        """Raises ConfigurationError where one brings no aggregate, or two collide."""
        self._packages = packages
        kinds = self.parts("AGGREGATES", AggregateType)
        try:
            self.aggregates = AggregateTypes(kinds)
        except TypeError as error:
            raise ConfigurationError(f"KINFOLD_DOMAIN: {error}") from None
        if not kinds:
            raise ConfigurationError(f"KINFOLD_DOMAIN: {self} has no AGGREGATES: see docs/extending.md")

    def parts(self, name: str, kind: type[T]) -> tuple[T, ...]:
        """What the packages bring under ``name``, all of one kind. Raises ConfigurationError for anything else.

        Also where two have one name, or one path: they would share tables, or one would never be asked.
        """
        found = [(package, each) for package in self._packages for each in getattr(package, name, ())]
        for package, each in found:
            if not isinstance(each, kind):
                raise ConfigurationError(
                    f"KINFOLD_DOMAIN: {package.__name__}.{name} is a tuple of {kind.__name__}, not of {each!r:.80}"
                )
            kinds = (*getattr(each, "aggregates", ()), *([each.aggregate] if hasattr(each, "aggregate") else ()))
            if foreign := [kind.name for kind in kinds if self.aggregates.get(kind.name) is not kind]:
                raise ConfigurationError(
                    f"KINFOLD_DOMAIN: {package.__name__}.{name} is about {foreign[0]!r}, which is not in AGGREGATES"
                )
        parts = tuple({id(each): each for _, each in found}.values())
        for attribute in ("name", "path"):
            given = [getattr(each, attribute) for each in parts if hasattr(each, attribute)]
            if twice := [each for each in given if given.count(each) > 1]:
                raise ConfigurationError(f"KINFOLD_DOMAIN: two {name} have the {attribute} {twice[0]!r}")
        return parts

    def __str__(self) -> str:
        return ", ".join(package.__name__ for package in self._packages)


def load_domain(names: str) -> Domain:
    """Import the domains of these names, parted by commas: packages, or entry points of group ``kinfold.domains``.

    Raises ConfigurationError, which says what is missing.
    """
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    if not chosen:
        raise ConfigurationError("KINFOLD_DOMAIN names no domain: `betting` is the one that comes with Kinfold")
    return Domain([_import(name) for name in dict.fromkeys(chosen)])


def _import(name: str) -> ModuleType:
    for point in entry_points(group=GROUP, name=name):
        found = point.load()
        if isinstance(found, ModuleType):
            return found
        raise ConfigurationError(f"KINFOLD_DOMAIN: entry point {name} is no package but {found!r:.80}")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(
            f"KINFOLD_DOMAIN: there is no package {name!r}, and no entry point of group {GROUP}: install it, or set "
            "PYTHONPATH to the folder that it is in"
        ) from None
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"KINFOLD_DOMAIN: {name!r} cannot be imported: {error}") from None
