"""The MultiLangDaemon's properties: our values, why, and their file format. Pure.

What differs from KCL's defaults:

| property | value | why |
|---|---|---|
| `callProcessRecordsEvenForEmptyRecordList` | true | checkpoints are made in turns; so idle shards get turns |
| `shutdownGraceMillis` | `stop_timeout` | 0 by default: nothing would be checkpointed at a stop |
| `timeoutInSeconds` | twice `batch_timeout` | the daemon ends by itself when the worker is frozen |
| `failoverTimeMillis` | `failover_time` | when a silent worker's leases are taken |
| `shardSyncIntervalMillis` | 1000 | the first assignment waits for one whole interval, a minute by default |
| `leaseAssignmentIntervalMillis` | 1000 | twice the fail-over time by default |
| `workerMetricsReporterFreqInMillis` | 5000 | a new worker is seen by its first report, 30 s by default |
| `inMemoryWorkerMetricsCaptureFrequencyMillis` | 200 | the first report waits for a full set of samples |
| `parentShardPollIntervalMillis` | 1000 | how soon children start after their parent's end, 10 s by default |
| `skipShardSyncAtWorkerInitializationIfLeasesExist` | true | no listing of the shards at each restart |
| `idleTimeBetweenReadsInMillis`, `maxRecords` | `poll_interval`, `batch_size` | as the polling source |
| `retrievalMode` | POLLING | enhanced fan-out costs extra: ask for it |
| `metricsLevel`, `disableWorkerMetrics` | NONE, true off AWS | an emulator has no CloudWatch and no CPU to balance by |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from faust_kinesis.options import KinesisOptions

_REPORTS = "workerMetricsReporterFreqInMillis"
_REPORT_MILLIS = 5000


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints the daemon connects to."""

    region: str
    kinesis_endpoint: str
    dynamodb_endpoint: str

    @property
    def is_aws(self) -> bool:
        """Whether the endpoints are AWS's own, which the daemon derives from the region."""
        hosts = [urlsplit(url).hostname or "" for url in (self.kinesis_endpoint, self.dynamodb_endpoint)]
        return all(host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")) for host in hosts)


def daemon_properties(
    options: KinesisOptions, *, stream: str, endpoints: Endpoints, started_at: datetime | None
) -> dict[str, str]:
    """All properties, with those of `options.kcl_properties` on top.

    `started_at` is the time that leases at AT_TIMESTAMP mean: KCL has one for all of them, in whole seconds.
    """
    properties = {
        "executableName": "/bin/sh child",  # the script beside them; KCL splits at spaces and knows no quotes
        "processingLanguage": "python",
        "streamName": stream,
        "applicationName": options.application,
        "workerId": options.worker_id,
        "AwsCredentialsProvider": "DefaultCredentialsProvider",
        "regionName": endpoints.region,
        "callProcessRecordsEvenForEmptyRecordList": "true",
        "shutdownGraceMillis": _millis(options.stop_timeout),
        "timeoutInSeconds": str(max(1, round(2 * options.batch_timeout))),
        "failoverTimeMillis": _millis(options.failover_time),
        "shardSyncIntervalMillis": "1000",
        "leaseAssignmentIntervalMillis": "1000",
        _REPORTS: str(_REPORT_MILLIS),
        "inMemoryWorkerMetricsCaptureFrequencyMillis": "200",
        "parentShardPollIntervalMillis": "1000",
        "skipShardSyncAtWorkerInitializationIfLeasesExist": "true",
        "idleTimeBetweenReadsInMillis": _millis(options.poll_interval),
        "maxRecords": str(options.batch_size),
        "retrievalMode": "POLLING",
    }
    if started_at is None:
        properties["initialPositionInStream"] = "TRIM_HORIZON"
    else:
        properties["initialPositionInStreamExtended"] = str(max(0, int(started_at.timestamp())))
    if not endpoints.is_aws:
        properties |= {
            "kinesisEndpoint": endpoints.kinesis_endpoint,
            "dynamoDBEndpoint": endpoints.dynamodb_endpoint,
            "metricsLevel": "NONE",
            "disableWorkerMetrics": "true",
        }
    return {**properties, **options.kcl_properties}


def report_interval(options: KinesisOptions) -> float:
    """Seconds between two reports of a worker's daemon, by which the others know that it is alive."""
    text = options.kcl_properties.get(_REPORTS, "")
    return (int(text) if text.isdigit() else _REPORT_MILLIS) / 1000


def jvm_options(endpoints: Endpoints) -> tuple[str, ...]:
    """Options of Java itself. Off AWS, plain JSON: MiniStack cannot read a time written in CBOR."""
    return () if endpoints.is_aws else ("-Daws.cborEnabled=false",)


def render(properties: Mapping[str, str]) -> str:
    """The text of a Java properties file, in ASCII."""
    return "".join(f"{_escape(name, key=True)}={_escape(value)}\n" for name, value in properties.items())


def _millis(seconds: float) -> str:
    return str(round(seconds * 1000))


def _escape(text: str, *, key: bool = False) -> str:
    return "".join(_escaped(letter, key=key, first=at == 0) for at, letter in enumerate(text))


def _escaped(letter: str, *, key: bool, first: bool) -> str:
    if letter == "\\" or (letter in " #!=:" and (key or first)):
        return "\\" + letter
    if " " <= letter <= "~":
        return letter
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
