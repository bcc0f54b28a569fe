"""The alarms watch what exists: the code's tables and stream, the services that run, the events that the code logs."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from kinfold.tables import all_specs
from ledger.store.tables import Names
from tests.support.aws.templates import Template

ROOT: Final = Path(__file__).parents[3]
NAMES: Final = Names("prod")
TOPIC: Final = "arn:aws:sns:us-east-1:000000000000:t"
SERVICES: Final = ("ledger", "faust_kinesis", "writer", "stream_bridge", "projector")


def template(bridge: str = "native") -> Template:
    return Template("alarms", Profile="prod", Bridge=bridge, AlarmTopic=TOPIC, RetentionHours=48)


def every_alarm() -> dict[str, dict[str, Any]]:
    replica = Template("projector", Profile="prod", Replica="b", AlarmTopic=TOPIC)
    kinds = [template("native"), template("relay"), replica]
    return {name: alarm for each in kinds for name, alarm in each.of_type("AWS::CloudWatch::Alarm").items()}


def watched(text: str) -> set[tuple[str, str]]:
    """Each dimension and its value in a template's text."""
    by_query = re.findall(r"(TableName|ClusterName) = '([^']+)'", text)
    by_dimension = re.findall(r'"Name": "(\w+)", "Value": "([^"]+)"', text)
    return {*by_query, *by_dimension}


def test_every_dimension_is_a_table_a_stream_or_a_service_that_there_is() -> None:
    services = Template("services", Profile="prod", Bridge="relay")
    (cluster,) = services.of_type("AWS::ECS::Cluster").values()
    known = {("StreamName", NAMES.stream), ("ClusterName", cluster["ClusterName"])}
    known |= {("TableName", spec.name) for spec in all_specs(NAMES)}
    known |= {("ServiceName", each["ServiceName"]) for each in services.of_type("AWS::ECS::Service").values()}
    known |= {("ServiceName", "{ProjectorService.Name}")}
    kcl = [alarm for alarm in every_alarm().values() if alarm.get("Namespace") == NAMES.leases]
    known |= watched(json.dumps(kcl))  # what KCL tells is held by tests/acceptance/kcl/test_kcl_metrics.py
    assert len(kcl) == 2
    found = watched(json.dumps(every_alarm()))
    assert found <= known
    assert {name for name, _ in found} == {"StreamName", "TableName", "ClusterName", "ServiceName", "Operation"}
    lease_tables = {value for name, value in found if name == "TableName" and value.startswith(NAMES.leases)}
    assert len(lease_tables) == 3


def test_every_alarm_and_its_end_are_told() -> None:
    for alarm in every_alarm().values():
        assert (alarm["AlarmActions"], alarm["OKActions"]) == ([TOPIC], [TOPIC])
        assert alarm["AlarmName"].startswith("kinfold-prod-")
    assert len({alarm["AlarmName"] for alarm in every_alarm().values()}) == len(every_alarm())


def test_each_alarm_of_the_documentation_that_is_cloudwatchs_is_here() -> None:
    section = (ROOT / "docs" / "running.md").read_text().split("## What to watch", 1)[1].split("\n## ", 1)[0]
    metrics = re.findall(r"^\| (?:Kinesis|DynamoDB) ((?:`[\w.]+`(?:, )?)+)", section, re.MULTILINE)
    told = {name for cell in metrics for name in re.findall(r"`([\w.]+)`", cell)}
    assert len(told) >= 3
    assert {name for name in told if name not in str(every_alarm())} == set()


def test_the_destination_is_watched_only_where_it_carries_and_the_relay_where_it_does() -> None:
    native, relay = (template(bridge).of_type("AWS::CloudWatch::Alarm").keys() for bridge in ("native", "relay"))
    assert native - relay == {"NotReplicated", "ReplicationLate"}
    assert relay - native == {"NoRelay"}


def test_what_is_counted_in_the_log_is_what_the_code_logs() -> None:
    source = "".join(path.read_text() for package in SERVICES for path in (ROOT / package).rglob("*.py"))
    filters = template().of_type("AWS::Logs::MetricFilter")
    events = [name for each in filters.values() for name in re.findall(r'\$\.event = "(\w+)"', each["FilterPattern"])]
    assert len(events) >= 2
    for event in events:
        assert f'"{event}"' in source
    for each in filters.values():
        (counted,) = each["MetricTransformations"]
        alarm = every_alarm()[counted["MetricName"]]
        assert (alarm["Namespace"], alarm["MetricName"]) == (counted["MetricNamespace"], counted["MetricName"])


@pytest.mark.parametrize("bridge", ["native", "relay"])
def test_the_dashboard_is_json_and_shows_what_there_is(bridge: str) -> None:
    (dashboard,) = template(bridge).of_type("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    corners = {(widget["x"], widget["y"]) for widget in widgets}
    assert len(corners) == len(widgets) >= 4
    for widget in widgets:
        for metric in widget["properties"].get("metrics", []):
            if "TableName" in metric or "StreamName" in metric:
                assert metric[3] in {NAMES.stream, NAMES.events}
