from collections.abc import Callable, Iterator
from contextlib import suppress
from traceback import format_exception
from typing import Any

import pytest
from hypothesis import Phase, settings

from kinfold.testing.contract import Contract

#: Enough for what is broken on purpose, and the same examples every time: what is found need not be shrunk.
HELD = settings(
    settings.get_profile("kinfold"),
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    max_examples=200,
    report_multiple_bugs=False,
)
settings.register_profile("held", HELD)
settings.register_profile("held-briefly", HELD, max_examples=20)

Goes = Callable[..., None]


@pytest.fixture
def goes_red() -> Iterator[Goes]:
    """Hold a contract's test to fail, and to say why, for a subclass with these attributes."""
    settings.load_profile("held")

    def _goes_red(contract: type[Contract], test: str, reason: str, **attributes: Any) -> None:
        held = type("Held", (contract,), attributes)()
        with pytest.raises(Exception) as failure:
            getattr(held, test)()
        said = "".join(format_exception(failure.value))
        assert reason in said, said

    yield _goes_red
    settings.load_profile("kinfold")


@pytest.fixture
def stays_green() -> Iterator[Goes]:
    """Hold every test of a contract to pass for a subclass with these attributes."""
    settings.load_profile("held-briefly")

    def _stays_green(contract: type[Contract], **attributes: Any) -> None:
        held = type("Held", (contract,), attributes)()
        for test in (name for name in dir(held) if name.startswith("test_")):
            with suppress(pytest.skip.Exception):
                getattr(held, test)()

    yield _stays_green
    settings.load_profile("kinfold")
