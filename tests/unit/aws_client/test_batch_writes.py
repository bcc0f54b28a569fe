"""BatchWriteItem to its end: nothing left out, and a pause whenever items were left."""

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from aws_client.batch_writes import BatchPut
from aws_client.failures import Failure, classify


class Table:
    """BatchWriteItem in memory, which processes so many items of each call, and then all."""

    def __init__(self, takes: list[int]) -> None:
        self.stored: list[Any] = []
        self._takes = takes

    def batch_write_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        (puts,) = RequestItems.values()
        taken = self._takes.pop(0) if self._takes else len(puts)
        self.stored += [put["PutRequest"]["Item"] for put in puts[:taken]]
        return {"UnprocessedItems": {"t": puts[taken:]}} if puts[taken:] else {"UnprocessedItems": {}}


@given(st.integers(0, 25), st.lists(st.integers(0, 10)))
def test_each_item_is_stored_once_however_many_are_left(items: int, takes: list[int]) -> None:
    table = Table(takes)
    put = BatchPut(cast("Any", table), "t", list(range(items)))
    failures: list[Exception] = []
    ended = False
    while not ended:
        try:
            put()
            ended = True
        except ClientError as error:
            failures.append(error)
    assert {classify(error) for error in failures} <= {Failure.THROTTLED}
    assert table.stored == list(range(items))


def test_what_is_left_is_an_error_and_no_success() -> None:
    with pytest.raises(ClientError, match="2 items were left unprocessed"):
        BatchPut(cast("Any", Table([1])), "t", [1, 2, 3])()
