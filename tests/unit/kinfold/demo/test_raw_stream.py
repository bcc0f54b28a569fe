"""What a relay must never leave on a stream is told, account by account."""

import pytest

from kinfold.demo.raw_stream import StreamedAggregate, order_violations


@pytest.mark.parametrize(
    ("shards", "numbers", "said"),
    [
        ({"a"}, [1, 2, 3], None),
        ({"a"}, [1, 2, 2, 1, 3], None),
        ({"a"}, [1, 3, 2], "of version 3 shows [1, 3, 2]"),
        ({"a"}, [1, 2], "of version 3 shows [1, 2]"),
        (set(), [], "of version 3 shows []"),
        ({"a", "b"}, [1, 2, 3], "is on 2 shards"),
        ({"a", "b"}, [2, 1, 3], "is on 2 shards and of version 3 shows [2, 1, 3]"),
    ],
)
def test_a_violation_names_its_account(shards: set[str], numbers: list[int], said: str | None) -> None:
    assert order_violations({"alice": StreamedAggregate(shards, numbers)}, {"alice": 3}) == (
        [f"aggregate alice {said}"] if said else []
    )
