"""Fixtures of every suite: one AWS endpoint a session, one profile a test, and nothing left behind on the endpoint."""

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import localstack_client.config
import pytest
from hypothesis import settings

from kinfold.demo.disposable import delete_profile, disposable_profile
from kinfold.local.embedded_aws import DUMMY_CREDENTIALS, REGION, local_aws
from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from ledger.store.tables import Names
from tests.support.aws.stream import Stream
from tests.support.aws.tables import made_tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient


# A shared machine may take any time for an example: how long one takes is nothing to test.
settings.register_profile("kinfold", deadline=None)
settings.load_profile("kinfold")


# No test that is collected becomes garbage: the collector would look at all of them in vain, now and beside each test.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--aws-endpoint", metavar="URL", default=None, help="the AWS endpoint to test on (default: the embedded one)"
    )
    parser.addoption(
        "--localstack",
        action="store_true",
        help="test on the LocalStack that localstack-client finds (LOCALSTACK_HOST)",
    )
    parser.addoption("--engine", action="store_true", help="run those tests, too, that need a Docker engine")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files of the acceptance and of the integration tests in turn, then the unit tests, which are short.

    So those that start processes, and keep the cores busy, run beside those that wait for KCL. Those that need a Docker
    engine are left out unless ``--engine`` asks for them.
    """
    places: dict[Path, tuple[bool, int]] = {}
    files: Counter[str] = Counter()
    for item in items:
        if item.path not in places:
            suite = item.path.relative_to(Path(__file__).parent).parts[0]
            places[item.path] = suite == "unit", files[suite]
            files[suite] += 1
    items.sort(key=lambda item: places[item.path])
    if not config.getoption("--engine"):
        left_out = [item for item in items if item.get_closest_marker("engine")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of the tests' own: whatever the developer runs is found by nothing in it, and leaves nothing behind."""
    made, docker = tmp_path_factory.mktemp("home"), Path("~/.docker").expanduser()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", os.environ.get("DOCKER_CONFIG", str(docker)))
        patch.setenv("HOME", str(made))
        yield made


@pytest.fixture(scope="session")
def aws_credentials() -> Iterator[None]:
    """Something for the SDK to sign with, unless the caller brings credentials for the endpoint; and for Java."""
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get("AWS_ACCESS_KEY_ID") and not os.environ.get("AWS_PROFILE"):
            for name, value in DUMMY_CREDENTIALS.items():
                patch.setenv(name, value)
        # A Java that lives for a few seconds is not worth its second compiler: KCL starts with half the work.
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        yield


@pytest.fixture(scope="session")
def aws_endpoint(request: pytest.FixtureRequest, aws_credentials: None) -> Iterator[str]:
    """The endpoint's URL: ``--aws-endpoint``, ``--localstack``, or the embedded AWS, one for the session."""
    given: str | None = request.config.getoption("--aws-endpoint")
    if request.config.getoption("--localstack"):
        given = localstack_client.config.get_service_endpoint("dynamodb")
    if given:
        yield given.rstrip("/")
        return
    with local_aws() as url:
        yield url


@pytest.fixture
def profile() -> str:
    """A profile of this test alone, so that tests share an endpoint and nothing on it."""
    return disposable_profile("test-")


@pytest.fixture
def names(profile: str) -> Names:
    return Names(profile)


@pytest.fixture(scope="session")
def aws_session(aws_credentials: None) -> boto3.session.Session:
    """What clients are made from: it reads the SDK's descriptions of the services once for all tests."""
    return boto3.session.Session(region_name=REGION)


@pytest.fixture
def make_clients(aws_endpoint: str, aws_session: boto3.session.Session, profile: str) -> Callable[[], Clients]:
    """Separate clients of the endpoint, as separate processes have them."""
    settings = Settings.model_validate({"profile": profile, "endpoint_url": aws_endpoint, "region": REGION})
    return lambda: Clients(settings, session=aws_session)


@pytest.fixture
def clients(make_clients: Callable[[], Clients], profile: str) -> Iterator[Clients]:
    """Clients of the endpoint. Every table and stream of the profile is deleted after the test."""
    clients = make_clients()
    yield clients
    delete_profile(clients, profile)


@pytest.fixture
def dynamodb(clients: Clients) -> "DynamoDBClient":
    return clients.dynamodb


@pytest.fixture
def kinesis(clients: Clients) -> "KinesisClient":
    return clients.kinesis


@pytest.fixture
def keeps_parents(kinesis: "KinesisClient", profile: str) -> Iterator[bool]:
    """Whether the endpoint keeps a shard's records after a split, as AWS does. Found out, not assumed."""
    probe = Stream(kinesis, f"probe-{profile}")
    probe.create(1)
    (parent,) = probe.shard_ids()
    probe.split(parent)
    yield parent in probe.shard_ids()
    kinesis.delete_stream(StreamName=probe.name)


@pytest.fixture
def ledger_tables(dynamodb: "DynamoDBClient", names: Names) -> Names:
    """Every table of the main job, created; gives their names."""
    return made_tables(dynamodb, names)


@pytest.fixture
def child_env(aws_endpoint: str, profile: str, clients: Clients) -> dict[str, str]:
    """The environment in which a service runs as a process on this test's endpoint and profile."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KINFOLD_")}
    return inherited | {
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_REGION": REGION,
        "KINFOLD_PROFILE": profile,
        "KINFOLD_ACCESS": "off",
        # Whoever else runs on this machine may have the ports that services take by default.
        **{f"KINFOLD_{service}_PORT": "0" for service in ("WRITER", "PROJECTOR", "BRIDGE", "CONSOLE")},
        "PYTHONUNBUFFERED": "1",
    }
