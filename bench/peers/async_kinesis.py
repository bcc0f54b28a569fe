"""Peer (c): async-kinesis 3's consumer with handler (a), `python -m bench.peers.async_kinesis`.

The consumer is used as its own documentation does: one loop over its records. It runs in the peers' environment, whose
botocore is another one than Kinfold's.
"""

import argparse
import asyncio
import os

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from kinesis import Consumer, StringProcessor

from bench.metering.meter import Meter
from bench.peers.balances import addition, change_of
from bench.peers.shard_loop import arguments


async def run(given: argparse.Namespace) -> None:
    """Handle ``given.records`` records from trim horizon on, then write the report."""
    meter, left = Meter(), given.records
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    config = AioConfig(max_pool_connections=64, retries={"mode": "standard"}, tcp_keepalive=True)
    async with (
        get_session().create_client("dynamodb", endpoint_url=endpoint, config=config) as dynamodb,
        Consumer(
            given.stream, endpoint_url=endpoint, processor=StringProcessor(), iterator_type="TRIM_HORIZON"
        ) as consumer,
    ):
        meter.watch(dynamodb)
        meter.watch(consumer.client)
        while left:  # the loop over a consumer ends when nothing has come for two seconds
            async for record in consumer:
                await dynamodb.update_item(**addition(given.table, change_of(record)))
                left -= 1
                if not left:
                    break
    meter.write_report(given.report, handled=given.records)


if __name__ == "__main__":
    asyncio.run(run(arguments(__doc__ or "").parse_args()))
