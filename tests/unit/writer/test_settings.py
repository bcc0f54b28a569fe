import pytest

from ledger.errors import ConfigurationError
from ledger.runtime.settings import load_settings
from writer.settings import WriterSettings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", *(f"KINFOLD_{field.upper()}" for field in WriterSettings.model_fields)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KINFOLD_PROFILE", "unit")


def test_the_defaults_listen_on_this_machine_alone() -> None:
    settings = load_settings(WriterSettings)
    assert (settings.writer_host, settings.writer_port) == ("127.0.0.1", 8080)
    assert settings.writer_conflict_retries == 8
    assert settings.writer_max_body == 64 * 1024


def test_every_bad_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {
        "KINFOLD_WRITER_PORT": "65536",
        "KINFOLD_WRITER_HOST": "",
        "KINFOLD_WRITER_THREADS": "0",
        "KINFOLD_WRITER_CONFLICT_RETRIES": "-1",
        "KINFOLD_WRITER_MAX_BODY": "64K",
        "KINFOLD_LOG_FORMAT": "xml",
    }
    for name, value in bad.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as error:
        load_settings(WriterSettings)
    for name, value in bad.items():
        assert f"{name}={value!r}" in str(error.value)
