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
