"""The transport that Faust loads for `kinesis://`.

The composition root hands over options and clients:

    app = faust.App("projector", broker="kinesis://")
    configure(app, options, kinesis=kinesis, dynamodb=dynamodb)

Without that, options come from the broker URL's query, and clients from boto3's own environment at the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import boto3
import faust
from botocore.config import Config
from faust.transport import base
from faust.types.transports import ConsumerT, ProducerT

from aws_client.answer_check import install_answer_check
from aws_client.credentials.patient_credentials import install_patient_credentials
from aws_client.fast.get_records import install_fast_get_records
from aws_client.sdk_settings import SettingRefusedError, refused_settings_named
from faust_kinesis.agents import StopWorkerSupervisor
from faust_kinesis.consumer import Consumer
from faust_kinesis.errors import ConfigurationError, FaustKinesisError
from faust_kinesis.kcl.source import KclSource
from faust_kinesis.options import KinesisOptions, options_from_url
from faust_kinesis.polling.source import PollingSource
from faust_kinesis.producer import Producer
from faust_kinesis.source import ShardSource, ShardStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient


class Transport(base.Transport):
    """Kinesis Data Streams, read and written by Faust.

    Changes three of Faust's defaults: no leader topic, since nothing elects (`on_leader` timers never run); a stop
    waits for batches in flight; an agent's failure ends the worker.
    """

    Consumer: ClassVar[type[ConsumerT]] = Consumer
    Producer: ClassVar[type[ProducerT]] = Producer

    driver_version = f"boto3={boto3.__version__}"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.source: ShardSource | None = None
        self._options: KinesisOptions | None = None
        self._kinesis: KinesisClient | None = None
        self._dynamodb: DynamoDBClient | None = None
        self.app.conf.topic_disable_leader = True
        self.app.conf.stream_wait_empty = True
        self.app.conf.agent_supervisor = cast("Any", StopWorkerSupervisor)

    def use(self, options: KinesisOptions, *, kinesis: KinesisClient, dynamodb: DynamoDBClient) -> None:
        """Take options and clients. Call it before the worker starts.

        Installs the fast parsing of GetRecords in `kinesis`: its results differ only in the zone of their times.
        """
        install_fast_get_records(kinesis)
        self._options, self._kinesis, self._dynamodb = options, kinesis, dynamodb

    @property
    def options(self) -> KinesisOptions:
        """The options in force.

        Raises ConfigurationError: they come from the broker URL, and it cannot work.
        """
        if self._options is None:
            self._options = options_from_url(self.url[0], self.app.conf.id)
        return self._options

    @property
    def kinesis(self) -> KinesisClient:
        """The Kinesis client, created now if none was given."""
        if self._kinesis is None:
            self._kinesis = self._make_client("kinesis")
            install_fast_get_records(self._kinesis)
        return self._kinesis

    @property
    def dynamodb(self) -> DynamoDBClient:
        """The DynamoDB client, created now if none was given."""
        if self._dynamodb is None:
            self._dynamodb = self._make_client("dynamodb")
        return self._dynamodb

    def open_source(self, stream: str) -> ShardSource:
        """Make the source of the stream that the app reads, of the kind in `KinesisOptions.consumer`."""
        kind = KclSource if self.options.consumer == "kcl" else PollingSource
        self.source = kind(stream, self.options, kinesis=self.kinesis, dynamodb=self.dynamodb)
        return self.source

    def status(self) -> list[ShardStatus]:
        """The shards as this worker last saw them; empty before it reads. Cheap, from any thread."""
        return self.source.status() if self.source else []

    @property
    def failure(self) -> FaustKinesisError | None:
        """Why reading ended permanently, or None. From any thread."""
        return self.source.failure if self.source else None

    def _make_client(self, service: Literal["kinesis", "dynamodb"]) -> Any:
        try:
            with refused_settings_named():
                session = boto3.session.Session()
                install_patient_credentials(session)
                client: Any = session.client(service, config=client_config(self.options))
        except SettingRefusedError as error:
            raise ConfigurationError(f"boto3's environment gives no client: {error}") from error
        install_answer_check(client)
        return client


def configure(
    app: faust.App, options: KinesisOptions, *, kinesis: KinesisClient, dynamodb: DynamoDBClient
) -> Transport:
    """Hand options and clients to the app's transports, for reading and for sending; returns the one that reads.

    Call it before the worker starts. The clients' read timeout and retries bound how long a stop can hang on a dead
    endpoint, since threads in a call cannot be ended: keep them short, as `client_config` does.
    """
    for transport in (app.transport, app.producer_transport):
        cast("Transport", transport).use(options, kinesis=kinesis, dynamodb=dynamodb)
    return cast("Transport", app.transport)


def client_config(options: KinesisOptions) -> Config:
    """Short timeouts and no retries in the SDK: this package retries by itself and logs it."""
    return Config(
        connect_timeout=5,
        read_timeout=10,
        max_pool_connections=options.read_threads + 8,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
