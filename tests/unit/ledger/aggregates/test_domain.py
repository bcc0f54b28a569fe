"""Domains are packages that are named, imported and looked at before anything starts."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import betting
from ledger.aggregates.domain import Domain, load_domain
from ledger.errors import ConfigurationError
from loyalty.resource import MEMBERS
from projector.projection import Projection
from writer.resource import Resource


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which packages are found."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def every_part(domain: Domain) -> None:
    domain.parts("RESOURCES", Resource)
    domain.parts("PROJECTIONS", Projection)


def test_several_domains_are_one() -> None:
    domain = load_domain(" betting, loyalty,betting ")
    assert domain.aggregates.names == ("account", "member")
    assert domain.parts("RESOURCES", Resource) == (*betting.RESOURCES, MEMBERS)
    assert [each.name for each in domain.parts("PROJECTIONS", Projection)] == [
        "balance-summary",
        "daily-activity",
        "points-balance",
    ]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("", "names no domain: `betting` is the one"),
        (" , ", "names no domain"),
        ("no_such_package", r"no package 'no_such_package', and no entry point .*: install it, or set PYTHONPATH"),
        ("betting.no_such_part", "no package 'betting.no_such_part'"),
        ("..", "cannot be imported"),
        ("json", "json has no AGGREGATES: see docs/extending.md"),
    ],
)
def test_what_is_no_domain_is_refused_and_says_what_to_do(names: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"KINFOLD_DOMAIN: .*{reason}" if names.strip(" ,") else reason):
        load_domain(names)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("AGGREGATES = ('account',)", r"odd.AGGREGATES is a tuple of AggregateType, not of 'account'"),
        ("from betting import AGGREGATES as A\nAGGREGATES = (*A, *A, *A)", None),
        (
            "from dataclasses import replace\nfrom loyalty import MEMBER\n"
            "AGGREGATES = (MEMBER, replace(MEMBER, copy=lambda state: state))",
            "two AGGREGATES have the name 'member'",
        ),
        (
            "from dataclasses import replace\nfrom loyalty import AGGREGATES, PROJECTIONS\n"
            "PROJECTIONS = (*PROJECTIONS, replace(PROJECTIONS[0], path='other'))",
            "two PROJECTIONS have the name 'points-balance'",
        ),
        (
            "from dataclasses import replace\nfrom loyalty import AGGREGATES, PROJECTIONS\n"
            "PROJECTIONS = (*PROJECTIONS, replace(PROJECTIONS[0], name='other'))",
            "two PROJECTIONS have the path 'points'",
        ),
        (
            "from dataclasses import replace\nfrom loyalty import AGGREGATES, RESOURCES\n"
            "RESOURCES = (*RESOURCES, replace(RESOURCES[0], example_id='bob'))",
            "two RESOURCES have the path 'members'",
        ),
    ],
)
def test_a_package_that_brings_something_else_is_refused(folder: Path, source: str, reason: str | None) -> None:
    (folder / "odd.py").write_text(source)
    if reason is None:
        assert load_domain("odd").aggregates.names == ("account",)
        return
    with pytest.raises(ConfigurationError, match=reason):
        every_part(load_domain("odd"))


def test_what_fails_inside_a_domain_is_the_domains_own_error(folder: Path) -> None:
    (folder / "broken.py").write_text("import no_such_library")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        load_domain("broken")


def test_a_part_of_an_aggregate_that_is_not_brought_is_refused(folder: Path) -> None:
    (folder / "half.py").write_text("from betting import AGGREGATES\nfrom loyalty import PROJECTIONS, RESOURCES")
    for name, kind in (("PROJECTIONS", Projection), ("RESOURCES", Resource)):
        with pytest.raises(ConfigurationError, match=f"half.{name} is about 'member', which is not in AGGREGATES"):
            load_domain("half").parts(name, kind)
