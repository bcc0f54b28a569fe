"""Peer (a): the handler as it is usually written, `python -m bench.peers.plain`. A repeated record counts twice."""

from functools import partial
from typing import Any

from bench.peers.balances import addition, change_of
from bench.peers.shard_loop import arguments, run


def handle(table: str, dynamodb: Any, data: bytes) -> None:
    """One UpdateItem a record."""
    dynamodb.update_item(**addition(table, change_of(data)))


if __name__ == "__main__":
    given = arguments(__doc__ or "").parse_args()
    run(given, partial(handle, given.table))
