from datetime import UTC, datetime

import pytest

from ledger.errors import ConfigurationError
from ledger.runtime.settings import load_settings
from projector.settings import ProjectorSettings


def test_a_cache_of_no_rows_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot hold the row that is worked on."""
    monkeypatch.setenv("KINFOLD_PROFILE", "test")
    monkeypatch.setenv("KINFOLD_CACHE_SIZE", "0")
    with pytest.raises(ConfigurationError, match="KINFOLD_CACHE_SIZE='0'"):
        load_settings(ProjectorSettings)


@pytest.mark.parametrize(
    "start", ["2026", "1767225600", "2026-01-01", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59Z", "2999-01-01T00:00Z"]
)
def test_a_start_that_is_no_position_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    monkeypatch.setenv("KINFOLD_PROFILE", "test")
    monkeypatch.setenv("KINFOLD_START", start)
    with pytest.raises(ConfigurationError, match="KINFOLD_START=") as refused:
        load_settings(ProjectorSettings)
    assert "trim-horizon, latest or a time" in str(refused.value)


@pytest.mark.parametrize(
    ("start", "position"),
    [
        ("trim-horizon", "trim-horizon"),
        ("latest", "latest"),
        ("2026-01-01T01:00+01:00", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_start_is_a_position(monkeypatch: pytest.MonkeyPatch, start: str, position: str | datetime) -> None:
    monkeypatch.setenv("KINFOLD_PROFILE", "test")
    monkeypatch.setenv("KINFOLD_START", start)
    assert load_settings(ProjectorSettings).start == position
