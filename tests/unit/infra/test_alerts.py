"""The rules: what they go by is exposed, each alert fires when it should and not otherwise, and says what to do."""

import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from kinfold.cli import app
from tests.support.aws.templates import Template
from tests.support.observing.exposed import samples
from tests.support.observing.files import PROMETHEUS, needs_prometheus, rules
from tests.support.observing.promql import OWN, selectors, unknown
from tests.support.waiting import PATIENCE
from tests.unit.docs.test_documents import headings

ROOT: Final = Path(__file__).parents[3]
SCENARIOS: Final = Path(__file__).parent / "alerts.test.yml"
ALERTS: Final = {rule["alert"]: rule for rule in rules("alert")}
RECORDED: Final = {rule["record"]: rule for rule in rules("record")}


def promtool(*words: str | Path) -> str:
    answer = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False, timeout=PATIENCE)
    return "" if answer.returncode == 0 else answer.stdout + answer.stderr


def known() -> dict[str, frozenset[str]]:
    return {**samples(), **OWN, **dict.fromkeys(RECORDED, frozenset[str]())}


def test_every_series_and_label_that_a_rule_goes_by_is_exposed() -> None:
    exposed = known()
    for name, rule in (ALERTS | RECORDED).items():
        text = str(rule.get("annotations", ""))
        told = frozenset(re.findall(r"\$labels\.(\w+)", text))
        assert unknown(rule["expr"], exposed, told) == [], name


def test_what_is_not_exposed_is_found() -> None:
    exposed = known()
    assert unknown("max by (shard) (kinfold_projector_gone{a='b'})", exposed) == ["kinfold_projector_gone", "by shard"]
    assert unknown("sum(kinfold_writer_responses_total{code='500'})", exposed) == [
        "kinfold_writer_responses_total{code}"
    ]
    assert unknown("max by (projection) (kinfold_projector_build_beat)", exposed, frozenset({"instance"})) == [
        "text instance"
    ]


def test_every_recorded_series_is_used_and_named_once() -> None:
    used = {name for rule in ALERTS.values() for name, _ in selectors(rule["expr"])}
    assert RECORDED.keys() <= used
    assert len(ALERTS) == len(rules("alert"))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_the_one_command_to_run(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "action", "docs"}
    page, _, heading = rule["annotations"]["docs"].partition("#")
    assert not heading or heading in headings(ROOT / page)
    words = re.sub(r"\{\{.*?\}\}|HOURS", "1", rule["annotations"]["action"]).split()
    if words[0] == "kinfold":
        assert CliRunner().invoke(app, [*words[1:], "--help"]).exit_code == 0
    else:
        assert words[:3] == ["docker", "compose", "logs"]


def test_what_an_alarm_of_cloudwatch_watches_too_has_its_name_its_sentence_and_its_patience() -> None:
    alarms = Template("alarms", Profile="prod", AlarmTopic="topic").of_type("AWS::CloudWatch::Alarm")
    same = ALERTS.keys() & alarms.keys()
    assert same == {"NoWriter", "NoWatch", "AggregateHalted", "Unread", "Behind", "IteratorAge", "EventsMissing"}
    for name in same:
        alarm, rule = alarms[name], ALERTS[name]
        assert rule["annotations"]["summary"] == alarm["AlarmDescription"], name
        # An alarm of one period is one on something that has happened: an alert fires when it sees it.
        periods = int(alarm["EvaluationPeriods"])
        assert seconds(rule) == (periods * int(alarm.get("Period", 60)) if periods > 1 else 0), name


def seconds(rule: dict[str, Any]) -> float:
    number, unit = re.fullmatch(r"(\d+)([mh])", rule.get("for", "0m")).groups()  # type: ignore[union-attr]
    return timedelta(**{{"m": "minutes", "h": "hours"}[unit]: int(number)}).total_seconds()


def test_operating_lists_every_alert_with_its_command() -> None:
    section = (ROOT / "docs" / "operating.md").read_text().split("\n## Boards and alerts", 1)[1].split("\n## ", 1)[0]
    listed = dict(re.findall(r"^\| `(\w+)` \|.*\| `([^`]+)` \|$", section, re.MULTILINE))
    told = {name: rule["annotations"]["action"] for name, rule in ALERTS.items()}
    label = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
    assert listed == {name: label.sub(lambda found: found[1].upper(), action) for name, action in told.items()}


def test_each_alert_has_a_scenario_in_which_it_fires() -> None:
    assert set(re.findall(r'alertname="(\w+)"', SCENARIOS.read_text())) == ALERTS.keys()


@needs_prometheus
def test_prometheus_takes_the_configuration_and_the_rules(tmp_path: Path) -> None:
    configuration = tmp_path / "prometheus.yml"
    text = (PROMETHEUS / "prometheus.yml").read_text()
    configuration.write_text(text.replace("/tmp/token", str(tmp_path / "token")))
    (tmp_path / "token").touch()
    assert promtool("check", "config", "--syntax-only", configuration) == ""
    assert promtool("check", "rules", *PROMETHEUS.glob("*.rules.yml")) == ""


@needs_prometheus
def test_just_the_alerts_fire_that_should_in_every_scenario() -> None:
    assert promtool("test", "rules", SCENARIOS) == ""
