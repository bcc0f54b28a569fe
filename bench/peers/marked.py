"""Peer (b): idempotent the usual way, `python -m bench.peers.marked`: a transaction with a processed-events marker."""

import time
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from bench.peers.balances import addition_once, change_of
from bench.peers.shard_loop import arguments, run


def handle(table: str, markers: str, dynamodb: Any, data: bytes) -> None:
    """One TransactWriteItems a record; a marker that is there already means that the event was counted."""
    actions = addition_once(table, markers, change_of(data))
    while True:
        try:
            dynamodb.transact_write_items(TransactItems=actions)
        except ClientError as error:
            codes = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
            if codes and codes[0] == "ConditionalCheckFailed":
                return
            if "TransactionConflict" not in codes:
                raise
            time.sleep(0.005)  # another shard's thread is at the same account
        else:
            return


if __name__ == "__main__":
    given = arguments(__doc__ or "").parse_args()
    run(given, partial(handle, given.table, given.markers))
