import pytest

from ledger.errors import ConfigurationError
from ledger.runtime.settings import Settings, load_settings
from ledger.store.tables import Names

ENDPOINT = "http://127.0.0.1:4566"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"KINFOLD_{name.upper()}", raising=False)


def test_profile_local_without_an_endpoint_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\n  AWS_ENDPOINT_URL='': profile local needs AWS_ENDPOINT_URL"):
        load_settings(Settings)


def test_profile_local_with_an_endpoint_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ENDPOINT)
    settings = load_settings(Settings)
    assert (settings.profile, str(settings.endpoint_url)) == ("local", ENDPOINT + "/")


def test_another_profile_needs_no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINFOLD_PROFILE", "production")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    settings = load_settings(Settings)
    assert (settings.profile, settings.endpoint_url, settings.region) == ("production", None, "eu-west-1")


@pytest.mark.parametrize("table", ["domain-events-prod", "domain-events-prod.2026-01-31", ""])
def test_the_events_table_may_have_another_name_of_its_profiles(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    monkeypatch.setenv("KINFOLD_PROFILE", "prod")
    monkeypatch.setenv("KINFOLD_EVENTS_TABLE", table)
    settings = load_settings(Settings)
    names = Names(settings.profile, settings.events_table)
    assert (names.events, names.stream) == (table or "domain-events-prod", "domain-events-prod")


@pytest.mark.parametrize("table", ["domain-events-prod-eu", "domain-events-test", "orders", "domain-events-prod.a b"])
def test_an_events_table_of_another_profile_is_refused(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    monkeypatch.setenv("KINFOLD_PROFILE", "prod")
    monkeypatch.setenv("KINFOLD_EVENTS_TABLE", table)
    with pytest.raises(ConfigurationError, match=r"KINFOLD_EVENTS_TABLE=.*domain-events-prod\.NAME"):
        load_settings(Settings)


def test_every_bad_setting_is_named_at_once_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {
        "AWS_ENDPOINT_URL": "not a url",
        "KINFOLD_PROFILE": "No Capitals",
        "KINFOLD_ENDPOINT_TIMEOUT": "soon",
        "KINFOLD_LOG_LEVEL": "loud",
        "KINFOLD_LOG_FORMAT": "xml",
    }
    for name, value in bad.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as error:
        load_settings(Settings)
    for name, value in bad.items():
        assert f"{name}={value!r}" in str(error.value)


def test_a_missing_endpoint_is_named_beside_another_bad_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINFOLD_LOG_LEVEL", "loud")
    with pytest.raises(ConfigurationError) as error:
        load_settings(Settings)
    assert "KINFOLD_LOG_LEVEL" in str(error.value)
    assert "AWS_ENDPOINT_URL" in str(error.value)


def test_a_variable_that_is_not_aws_own_sets_no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT_URL", "http://elsewhere")
    monkeypatch.setenv("REGION", "elsewhere")
    monkeypatch.setenv("KINFOLD_PROFILE", "production")
    settings = load_settings(Settings)
    assert (settings.endpoint_url, settings.region) == (None, "us-east-1")
