"""``infra/`` deployed by the embedded AWS's CloudFormation; its tables and stream used by the real commands.

What the emulator makes nothing of (recovery, encryption, resource policies, containers, alarms on queries) is not
claimed.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest

from kinfold.demo.raw_stream import streamed_aggregates
from kinfold.local import embedded_aws as local_aws
from kinfold.local.embedded_aws import DUMMY_CREDENTIALS, REGION
from kinfold.tables import all_specs
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names, ensure_table
from tests.support.accounts import deposit
from tests.support.aws.templates import INFRA
from tests.support.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

SECRET: Final = f"arn:aws:secretsmanager:{REGION}:000000000000:secret:tokens"


@pytest.fixture(scope="module")
def aws_endpoint() -> Iterator[str]:
    """An embedded AWS of these tests' own, with CloudFormation and what the templates ask of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_aws, "SERVICES", f"{local_aws.SERVICES},cloudformation,iam,logs,ecs,ec2")
        for name, value in DUMMY_CREDENTIALS.items():
            patch.setenv(name, value)
        with local_aws.local_aws() as url:
            yield url


@pytest.fixture
def clients(make_clients: Callable[[], Clients]) -> Clients:
    """Nothing is cleared up after them: two tables cannot be deleted, and the endpoint ends with these tests."""
    return make_clients()


class Stacks:
    """CloudFormation at the endpoint."""

    def __init__(self, endpoint: str) -> None:
        self._api: Any = boto3.client("cloudformation", endpoint_url=endpoint, region_name=REGION)

    def deploy(self, name: str, *capabilities: str, **parameters: str) -> None:
        """Create a stack of a template, and see it complete."""
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        # No container runs here.
        text = re.sub(r"DesiredCount: .*", "DesiredCount: 0", (INFRA / f"{name}.yaml").read_text())
        stack = f"{name}{parameters.get('Replica', '')}"
        self._api.create_stack(StackName=stack, TemplateBody=text, Capabilities=capabilities, Parameters=given)
        assert self._end_of(stack) == "CREATE_COMPLETE", self._api.describe_stack_events(StackName=stack)["StackEvents"]

    def delete(self, name: str) -> None:
        stack = self._api.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        self._api.delete_stack(StackName=name)
        assert self._end_of(stack) == "DELETE_COMPLETE"

    def _end_of(self, stack: str) -> str:
        def status() -> str:
            return str(self._api.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])

        return until(status, lambda seen: not seen.endswith("IN_PROGRESS"))


def shape(dynamodb: "DynamoDBClient", name: str) -> dict[str, Any]:
    """What a table is, apart from its name and age."""
    table: Any = dynamodb.describe_table(TableName=name)["Table"]
    indexes = [
        (each["IndexName"], each["KeySchema"], each["Projection"]) for each in table.get("GlobalSecondaryIndexes", [])
    ]
    return {
        "keys": table["KeySchema"],
        "attributes": sorted(table["AttributeDefinitions"], key=lambda each: each["AttributeName"]),
        "indexes": indexes,
        "stream": table.get("StreamSpecification"),
        "billing": table["BillingModeSummary"]["BillingMode"],
        "expiry": dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"],
    }


def test_what_the_templates_make_is_what_the_code_makes_and_it_carries_events(
    aws_endpoint: str,
    clients: Clients,
    names: Names,
    profile: str,
    kinfold: Callable[..., tuple[int, str, str]],
) -> None:
    stacks = Stacks(aws_endpoint)
    stacks.deploy("data", Profile=profile, Shards="2")
    stacks.deploy("access", "CAPABILITY_IAM", Profile=profile, TokensSecret=SECRET)

    code, out, err = kinfold("bridge", "ensure", "--shards", "2", "--json")
    report = json.loads(out)
    assert (code, report["created"], report["warnings"]) == (0, [], []), err
    assert (report["destination"]["status"], report["destination"]["precision"]) == ("ACTIVE", "MICROSECOND")

    other = Names(f"{profile}-c")
    for ours, coded in zip(all_specs(names), all_specs(other), strict=True):
        ensure_table(clients.dynamodb, coded)
        assert shape(clients.dynamodb, ours.name) == shape(clients.dynamodb, coded.name)

    deposit(EventStore(clients.dynamodb, names.events), "alice")
    until(lambda: "alice" in streamed_aggregates(clients.kinesis, names.stream, names.events))

    image = {"Profile": profile, "Image": "kinfold@sha256:1", "TokensSecret": SECRET}
    stacks.deploy("services", Vpc="vpc-1", Subnets="subnet-1,subnet-2", Callers="sg-1", **image)
    for replica in ("a", "b"):
        stacks.deploy("projector", Replica=replica, **image)

    stacks.delete("data")
    left = clients.dynamodb.list_tables()["TableNames"]
    assert {spec.name for spec in all_specs(names)} & set(left) == {names.events, names.dead_letters, names.audit}
