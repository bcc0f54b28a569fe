import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kinfold import cli
from kinfold.domain.access import with_read_models
from ledger.errors import ConfigurationError

ACCESS = Path(__file__).parents[4] / "infra" / "access.yaml"


def test_the_rights_are_those_of_the_registered_projections() -> None:
    answer = CliRunner().invoke(cli.app, ["domain", "--access", str(ACCESS)])
    assert answer.stdout == ACCESS.read_text(), "make settings"


def test_each_list_of_read_models_is_replaced_whole() -> None:
    written = with_read_models(ACCESS.read_text(), ["points-balance"])
    assert written.count("table/points-balance-${Profile}-*") == ACCESS.read_text().count("table/balance-summary-") == 2
    assert "balance-summary" not in written
    assert with_read_models(written, ["balance-summary", "daily-activity"]) == ACCESS.read_text()
    with pytest.raises(ConfigurationError, match=r"infra/access\.yaml"):
        with_read_models("Resources: {}\n", ["points-balance"])


def test_a_domain_is_shown_with_all_that_it_brings() -> None:
    answer = CliRunner().invoke(cli.app, ["domain", "--domain", "loyalty", "--json"])
    brought = json.loads(answer.stdout)
    assert brought["aggregates"] == [
        {"name": "member", "key": "member~ID", "events": ["PointsEarned", "PointsRedeemed", "PointsExpired"]}
    ]
    assert {each["request"] for each in brought["commands"]} == {
        f"POST /members/{{memberId}}/{action}" for action in ("earnings", "redemptions", "expiry")
    }
    assert brought["readModels"] == [{"name": "points-balance", "request": "GET /points/{memberId}", "part": None}]
    table = CliRunner().invoke(cli.app, ["domain", "--domain", "betting"]).stdout
    assert all(word in table for word in ("FundsDeposited", "daily-activity", "settle_bet"))


def test_a_domain_that_is_not_there_is_named() -> None:
    answer = CliRunner().invoke(cli.app, ["domain", "--domain", "no_such_domain"])
    assert isinstance(answer.exception, ConfigurationError)
