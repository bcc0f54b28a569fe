"""docs/extending.md: what it calls public is what the packages call public."""

import importlib
import re
from pathlib import Path
from typing import Final

import pytest

PAGE: Final = (Path(__file__).parents[3] / "docs" / "extending.md").read_text()
PUBLIC: Final = re.findall(r"^\| `([a-z_.]+)` \| (`[A-Z].*) \|$", PAGE.partition("## What is public")[2], re.MULTILINE)


@pytest.mark.parametrize(("package", "names"), PUBLIC)
def test_what_is_called_public_is_what_the_package_names(package: str, names: str) -> None:
    found = importlib.import_module(package)
    assert sorted(re.findall(r"`(\w+)`", names)) == sorted(found.__all__)
    assert [name for name in found.__all__ if not hasattr(found, name)] == []


def test_every_package_of_extension_points_is_named() -> None:
    assert [package for package, _ in PUBLIC] == ["ledger.aggregates", "writer", "projector", "kinfold.testing"]
