"""A shard's process of peer (d): the sample processor that comes with kclpy, with handler (a) in its place for that.

The MultiLangDaemon starts one for each shard. After every batch it writes what it used to the directory BENCH_REPORTS.
"""

import os
from pathlib import Path
from typing import Any

import boto3
from amazon_kclpy import kcl
from samples.sample_kclpy_app import RecordProcessor

from bench.metering.meter import Meter
from bench.peers.balances import addition, change_of
from bench.peers.shard_loop import client_config


class Processor(RecordProcessor):  # type: ignore[misc]
    """One UpdateItem a record; a checkpoint every 30 seconds, as the sample has it."""

    def __init__(self) -> None:
        super().__init__()
        self._table = os.environ["BENCH_TABLE"]
        self._report = Path(os.environ["BENCH_REPORTS"]) / f"{os.getpid()}.json"
        self._dynamodb = boto3.client("dynamodb", config=client_config())
        self._meter = Meter()
        self._meter.watch(self._dynamodb)
        self._handled = 0

    def process_record(self, data: bytes, *_: Any) -> None:
        """Where the sample says "Insert your processing logic here"."""
        self._dynamodb.update_item(**addition(self._table, change_of(data)))
        self._handled += 1

    def process_records(self, given: Any) -> None:
        """The sample's own, and the report."""
        self._meter.begin()
        super().process_records(given)
        if self._handled:
            self._meter.write_report(self._report, handled=self._handled)


if __name__ == "__main__":
    kcl.KCLProcess(Processor()).run()
