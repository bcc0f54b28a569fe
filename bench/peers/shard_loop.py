"""The loop over the shards that peers (a) and (b) share: a thread a shard, GetRecords, one record after the other."""

import argparse
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from bench.metering.meter import Meter

#: Records in one GetRecords call, and the pause after an empty answer.
LIMIT: Final = 1_000
PAUSE: Final = 0.2

Handle = Callable[[Any, bytes], None]


def arguments(description: str) -> argparse.ArgumentParser:
    """What every peer is given. Endpoint and credentials come from the environment, as boto3 reads them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--stream", required=True)
    parser.add_argument("--table", required=True, help="balances, by aggregateId")
    parser.add_argument("--markers", help="processed events, by eventId; peer (b) alone")
    parser.add_argument("--records", type=int, required=True, help="stop after so many")
    parser.add_argument("--report", type=Path, required=True)
    return parser


def client_config() -> Config:
    """Connections are kept, one for each thread."""
    return Config(max_pool_connections=64, retries={"mode": "standard"}, tcp_keepalive=True)


def run(given: argparse.Namespace, handle: Handle) -> None:
    """Handle ``given.records`` records from trim horizon on, then write the report. Ends with 1 when a thread fails."""
    config = client_config()
    kinesis, dynamodb = boto3.client("kinesis", config=config), boto3.client("dynamodb", config=config)
    meter = Meter()
    meter.watch(kinesis)
    meter.watch(dynamodb)
    left: int = given.records
    lock = threading.Lock()
    failures: list[BaseException] = []

    def take() -> bool:
        nonlocal left
        with lock:
            left -= 1
            return left >= 0

    def read(shard: str) -> None:
        try:
            iterator = kinesis.get_shard_iterator(
                StreamName=given.stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while left > 0 and not failures:
                answer = kinesis.get_records(ShardIterator=iterator, Limit=LIMIT)
                for record in answer["Records"]:
                    if not take():
                        return
                    handle(dynamodb, record["Data"])
                if not answer["Records"]:
                    time.sleep(PAUSE)
                iterator = answer["NextShardIterator"]
        except BaseException as error:
            failures.append(error)
            raise

    shards = [shard["ShardId"] for shard in kinesis.list_shards(StreamName=given.stream)["Shards"]]
    threads = [threading.Thread(target=read, args=(shard,), name=shard) for shard in shards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(1)
    meter.write_report(given.report, handled=given.records)
