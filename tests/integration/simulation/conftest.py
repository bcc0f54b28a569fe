"""The endpoint and the AWS in memory, side by side."""

from collections.abc import Callable
from typing import Any, Literal

import boto3
import pytest

from kinfold.local.embedded_aws import REGION
from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from ledger.store.tables import Names
from simulation.aws.account import Account
from simulation.aws.wire.connection import Connection
from tests.support.aws.two_endpoints import TwoEndpoints

Kind = Literal["embedded", "localstack", "given"]
MakeTable = Callable[..., str]

#: Seconds that an answer, or a change on its way to a stream, may take: LocalStack starts a database when it is first
#: asked.
SLOW = 120.0

pytestmark = pytest.mark.integration


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which endpoint is compared with. One that was given is held to AWS's documentation."""
    if request.config.getoption("--localstack"):
        return "localstack"
    return "given" if request.config.getoption("--aws-endpoint") else "embedded"


@pytest.fixture
def make_clients(aws_endpoint: str, aws_session: boto3.session.Session, profile: str) -> Callable[[], Clients]:
    """Clients that wait for an answer for as long as an endpoint may take.

    A request that the SDK sends again, because its first answer was late, is carried out twice, and answered otherwise.
    """
    settings = Settings.model_validate({"profile": profile, "endpoint_url": aws_endpoint, "region": REGION})
    return lambda: Clients(settings, session=aws_session, read_timeout=SLOW)


@pytest.fixture
def memory(aws_session: boto3.session.Session, profile: str) -> Clients:
    """Clients of an empty account in memory."""
    settings = Settings.model_validate({"profile": profile, "endpoint_url": "http://aws.invalid", "region": REGION})
    clients = Clients(settings, session=aws_session)
    connection = Connection()
    connection.network = Account().network()
    for client in (clients.dynamodb, clients.dynamodbstreams, clients.kinesis):
        connection.join(client)
    return clients


@pytest.fixture
def two(clients: Clients, memory: Clients, kind: Kind) -> TwoEndpoints:
    return TwoEndpoints(clients, memory, strict=kind != "embedded")


@pytest.fixture
def make_table(two: TwoEndpoints, names: Names) -> MakeTable:
    """Makes a table on both, with the keys given by name and type, and gives its name."""

    def make(name: str, *keys: tuple[str, str], stream: bool = False) -> str:
        table = f"{name}-{names.profile}-0"
        request: dict[str, Any] = {
            "TableName": table,
            "KeySchema": [
                {"AttributeName": key, "KeyType": role} for (key, _), role in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": held} for key, held in keys],
            "BillingMode": "PAY_PER_REQUEST",
        }
        if stream:
            request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        for clients in (two.theirs, two.ours):
            clients.dynamodb.create_table(**request)
        two.theirs.dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
        return table

    return make
