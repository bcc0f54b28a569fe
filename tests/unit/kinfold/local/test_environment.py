"""The environment of children: an events table of another name is passed on to the profile that it belongs to."""

import pytest

from kinfold.local.environment import service_clients, service_environment

ENDPOINT = "http://127.0.0.1:4566"


@pytest.mark.parametrize("given", [None, "local"])
def test_the_events_table_of_a_profile_is_passed_on_to_it_and_to_no_other(
    monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    monkeypatch.delenv("KINFOLD_PROFILE", raising=False)
    if given is not None:
        monkeypatch.setenv("KINFOLD_PROFILE", given)
    monkeypatch.setenv("KINFOLD_EVENTS_TABLE", "domain-events-local.restored")
    assert service_environment(ENDPOINT, "local")["KINFOLD_EVENTS_TABLE"] == "domain-events-local.restored"
    assert "KINFOLD_EVENTS_TABLE" not in service_environment(ENDPOINT, "demo-1")
    # Nor is it taken for a setting of that profile by this process.
    service_clients(ENDPOINT, "demo-1")
