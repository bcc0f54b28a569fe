"""The alarms on Amazon's KCL look where it reports, also while nothing comes."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from kinfold.local.embedded_aws import REGION
from ledger.runtime.aws import Clients
from tests.support.aws.templates import Template
from tests.support.kcl_fleet import Fleet
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]


def test_kcl_reports_what_the_alarms_look_at(clients: Clients, profile: str, tmp_path: Path) -> None:
    alarms = Template("alarms", Profile=profile, AlarmTopic="topic").of_type("AWS::CloudWatch::Alarm")
    wanted = {
        name: {each: alarm[each] for each in ("Namespace", "MetricName", "Dimensions")}
        for name, alarm in alarms.items()
        if alarm.get("Namespace") == f"projector-{profile}"
    }
    assert wanted.keys() == {"Behind", "Unread"}
    # Java finds the endpoint by AWS_ENDPOINT_URL, as Python does. On AWS the metrics are on by themselves.
    reporting = {"KINFOLD_KCL_PROPERTIES": "metricsLevel=DETAILED,metricsBufferTimeMillis=1000"}
    with Fleet(clients, profile, tmp_path, shards=2, env=reporting) as fleet:
        fleet.start("w1").wait_until_ready(120, print)
        cloudwatch: Any = boto3.client("cloudwatch", endpoint_url=clients.endpoint, region_name=REGION)
        until(
            lambda: all(reports(cloudwatch, metric) for metric in wanted.values()),
            why=lambda: str(cloudwatch.list_metrics()["Metrics"]),
        )


def reports(cloudwatch: Any, metric: dict[str, Any]) -> bool:
    found = cloudwatch.list_metrics(Namespace=metric["Namespace"], MetricName=metric["MetricName"])["Metrics"]
    return metric["Dimensions"] in [each["Dimensions"] for each in found]
