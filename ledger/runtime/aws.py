"""AWS clients, and AWS's failures in the words of our error tree."""

import difflib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from tenacity import RetryCallState, Retrying, retry_if_exception, retry_if_exception_type, stop_after_delay

from aws_client.answer_check import install_answer_check
from aws_client.credentials.patient_credentials import install_patient_credentials
from aws_client.failures import Failure, classify, describe, refused_action, safe_cause
from aws_client.fast.get_records import install_fast_get_records
from aws_client.fast.reads import install_fast_reads
from aws_client.fast.signing import install_fast_signing
from aws_client.fast.writes import install_fast_writes
from aws_client.retry import RetryPolicy
from aws_client.sdk_settings import refused_settings_named
from ledger.errors import (
    AccessRefusedError,
    ConfigurationError,
    EndpointError,
    KinfoldError,
    ResourceError,
    ThrottledError,
    TransientError,
)
from ledger.runtime.settings import Settings
from ledger.runtime.sockets import is_loopback_url

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_sts import STSClient

log = structlog.get_logger(__name__)

_USER_AGENT: Final = f"Boto3/{boto3.__version__} kinfold"
#: Spreads writers that contend with one another over the whole of each wait.
_CONTENDED: Final = RetryPolicy(0.02, 1.0, jitter=1.0)


class Clients:
    """One boto3 client for each service in use, made by a composition root and safe to share between threads.

    Signatures, GetRecords, Scan, Query and the writes go the fast ways of ``aws_client``, whoever uses the clients.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        connections: int = 32,
        attempts: int = 4,
        connect_timeout: float = 2.0,
        read_timeout: float = 15.0,
        session: boto3.session.Session | None = None,
    ) -> None:
        """``connections``: the width of each client's connection pool, as many as there are threads to use it.

        ``attempts``: how often the SDK sends a request, with jitter between; ``connect_timeout`` and ``read_timeout``:
        seconds it waits for a connection and for each answer. A service whose callers are waiting takes less of these
        than one whose work waits for it.
        ``session`` brings credentials of its own; by default boto3 finds them as it always does, at the first request.

        Raises ConfigurationError for a setting that the SDK refuses.
        """
        endpoint = str(settings.endpoint_url).rstrip("/") if settings.endpoint_url else None
        config = Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            max_pool_connections=connections,
            retries={"mode": "standard", "total_max_attempts": attempts},
            # A proxy of the environment has no way to our loopback interface.
            proxies={} if endpoint and is_loopback_url(endpoint) else None,
            # Given whole: otherwise botocore puts its own together anew at every call, which takes it some 100 µs.
            user_agent=_USER_AGENT,
        )
        with aws_errors("making clients of AWS"), refused_settings_named():
            if session is None:
                session = boto3.session.Session(region_name=settings.region)
                install_patient_credentials(session)
            if app := session._session.get_config_variable("user_agent_appid"):
                config = config.merge(Config(user_agent=f"{_USER_AGENT} app/{app}"))
            make = partial(session.client, endpoint_url=endpoint, config=config)
            self.dynamodb: DynamoDBClient = make("dynamodb")
            self.dynamodbstreams: DynamoDBStreamsClient = make("dynamodbstreams")
            self.kinesis: KinesisClient = make("kinesis")
            self.sts: STSClient = make("sts")
        for client in (self.dynamodb, self.dynamodbstreams, self.kinesis, self.sts):
            install_answer_check(client)
            install_fast_signing(client)
        install_fast_get_records(self.kinesis)
        install_fast_reads(self.dynamodb)
        install_fast_writes(self.dynamodb)
        self.endpoint = endpoint or f"AWS in {_region(session, settings.region)}"


def _region(session: boto3.session.Session, name: str) -> str:
    """A region's name, with the nearest one beside it where the SDK does not know it."""
    partitions = session.get_available_partitions()
    known = [each for partition in partitions for each in session.get_available_regions("dynamodb", partition)]
    if name in known:
        return name
    nearest = " or ".join(difflib.get_close_matches(name, known, n=2)) or "another"
    return f"{name} (no region that the SDK knows: did you mean {nearest}?)"


#: The error of our tree for each failure, and what its message says of it. All others are a ResourceError.
_ERRORS: Final[Mapping[Failure, tuple[type[KinfoldError], str]]] = {
    Failure.THROTTLED: (ThrottledError, "throttled ({}); slow down or raise the capacity"),
    Failure.CONTENDED: (ThrottledError, "another transaction or operation has it at the moment ({})"),
    Failure.FAULT: (EndpointError, "the endpoint failed ({})"),
    Failure.UNREACHABLE: (EndpointError, "the endpoint does not answer: {}"),
    Failure.CREDENTIALS_UNAVAILABLE: (EndpointError, "{}"),
    Failure.CREDENTIALS_MISSING: (
        ConfigurationError,
        "{}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role",
    ),
    Failure.MISCONFIGURED: (ConfigurationError, "{}"),
    Failure.NOT_FOUND: (ResourceError, "{}; `kinfold bridge ensure` creates what is missing"),
}


def translate(error: ClientError | BotoCoreError | ResponseParserError, doing: str) -> KinfoldError:
    """Put an SDK failure into our tree; ``doing`` says what was tried, for the message."""
    failure = classify(error)
    if failure is Failure.ACCESS_REFUSED:
        refused = refused_action(error)
        what = f"{doing}: AWS refuses {refused}: {describe(error)}"
        return AccessRefusedError(f"{what}; grant it to the role in use, or correct the credentials", refused)
    kind, what = _ERRORS.get(failure, (ResourceError, "{}"))
    return kind(f"{doing}: {what.format(describe(error))}")


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Raise SDK failures of the block as errors of our tree, which say whether retrying can help."""
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        raise translate(error, doing) from safe_cause(error)


def retrying(
    seconds: float,
    *kinds: type[KinfoldError],
    policy: RetryPolicy = _CONTENDED,
    before_sleep: Callable[[RetryCallState], None] | None = None,
) -> Retrying:
    """Attempts at a call for ``seconds``, with backoff after errors of ``kinds`` (default: TransientError).

    The last error is raised as it came. The default policy suits writers that contend with one another.
    """
    return Retrying(
        retry=retry_if_exception_type(kinds or TransientError),
        stop=stop_after_delay(seconds),
        wait=policy,
        before_sleep=before_sleep,
        reraise=True,
    )


def wait_for_endpoint(
    clients: Clients,
    timeout: float,
    report: Callable[[str], None],
    tables: Iterable[str] = (),
    streams: Iterable[str] = (),
) -> None:
    """Wait until DynamoDB and Kinesis answer, each table is ACTIVE, and each stream can be read and written.

    ``report`` gets a line now and then meanwhile. After ``timeout`` seconds in all, raises EndpointError, or
    ResourceError, which says how to create what is missing; at once, AccessRefusedError, which no waiting helps, and
    ConfigurationError.
    """
    deadline = time.monotonic() + timeout

    def answers() -> None:
        with aws_errors(f"reaching {clients.endpoint}"):
            clients.dynamodb.list_tables(Limit=1)
            clients.kinesis.list_streams(Limit=1)

    def is_active(table: str) -> None:
        with aws_errors(f"describing table {table}"):
            status = clients.dynamodb.describe_table(TableName=table)["Table"]["TableStatus"]
        if status != "ACTIVE":
            raise ResourceError(f"table {table} is {status}")

    def is_usable(stream: str) -> None:
        with aws_errors(f"describing stream {stream}"):
            found = clients.kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        if found["StreamStatus"] not in {"ACTIVE", "UPDATING"}:
            raise ResourceError(f"stream {stream} is {found['StreamStatus']}")

    _wait(answers, (TransientError,), timeout, partial(report, f"waiting for {clients.endpoint} to answer"))
    looks = [(f"table {table}", partial(is_active, table)) for table in tables]
    looks += [(f"stream {stream}", partial(is_usable, stream)) for stream in streams]
    for what, look in looks:
        waiting = partial(report, f"waiting for {what}: `kinfold bridge ensure` creates it")
        _wait(look, (TransientError, ResourceError), max(0.0, deadline - time.monotonic()), waiting)


def _wait(
    look: Callable[[], None], passing: tuple[type[KinfoldError], ...], timeout: float, report: Callable[[], None]
) -> None:
    def passes(error: BaseException) -> bool:
        return isinstance(error, passing) and not isinstance(error, AccessRefusedError)

    def waiting(state: RetryCallState) -> None:
        if state.attempt_number % 5 == 1:
            report()

    attempts = retrying(timeout, *passing, policy=RetryPolicy(0.2, 2.0, jitter=1.0), before_sleep=waiting)
    attempts.retry = retry_if_exception(passes)
    attempts(look)
