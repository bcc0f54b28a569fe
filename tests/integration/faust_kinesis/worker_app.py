"""A Faust worker for the tests: it prints what it does, one word and its fields a line.

Usage: worker_app.py STREAM APPLICATION MODE DATADIR, where MODE is ok, crash, slow (a second a batch), send,
or a mistake: raw, restart, two. `MODE@kcl` reads by Amazon's KCL; it also has block (the agent blocks the event loop).
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterable
from pathlib import Path

import faust
from mode.supervisors import OneForOneSupervisor

from faust_kinesis.agents import batch_topic
from faust_kinesis.records import RecordBatch
from tests.support.sources import QUICK_KCL_ENV

stream, application, mode, datadir = sys.argv[1:]
mode, _, consumer = mode.partition("@")
app = faust.App(
    "worker-app",
    broker=f"kinesis://?application={application}&worker_id=w1&poll_interval=0.2&checkpoint_interval=0&failover_time=2"
    f"&consumer={consumer or 'polling'}&batch_timeout={4 if mode == 'block' else 300}"
    f"&kcl_properties={QUICK_KCL_ENV['KINFOLD_KCL_PROPERTIES']}",
    datadir=Path(datadir),
    web_enabled=False,
)
topic = app.topic(stream, value_type=bytes) if mode == "raw" else batch_topic(app, stream)
out = os.fdopen(os.dup(1), "w", buffering=1)


@app.agent(topic, supervisor_strategy=OneForOneSupervisor if mode == "restart" else None)
async def project(batches: AsyncIterable[RecordBatch]) -> None:
    async for batch in batches:
        for record in batch.records:
            out.write(f"record {batch.shard_id} {record.partition_key} {record.data.decode()}\n")
        if mode == "crash":
            raise RuntimeError("this batch cannot be worked")
        if mode == "block":
            time.sleep(3600)  # noqa: ASYNC251 - the mistake under test
        if mode == "slow":
            await asyncio.sleep(1)
        batch.complete()
        out.write(f"complete {batch.shard_id} {batch.records[-1].sequence_number}\n")


if mode == "two":

    @app.agent(batch_topic(app, f"{stream}-2"))
    async def other(batches: AsyncIterable[RecordBatch]) -> None:
        async for batch in batches:
            batch.complete()


@app.task  # type: ignore[untyped-decorator]  # Faust's own
async def send() -> None:
    if mode == "send":
        for number in range(3):
            await (await topic.send(key=b"k", value=f"m{number}".encode()))
        out.write("sent\n")


if __name__ == "__main__":
    faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
