from hypothesis import given
from hypothesis import strategies as st

from aws_client.retry import RetryPolicy, should_log


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_delay_grows_to_a_bound_and_keeps_what_is_not_jitter(attempt: int, draw: float, jitter: float) -> None:
    wait = RetryPolicy(0.1, 15.0, jitter).delay(attempt, draw)
    full = min(15.0, 0.1 * 2.0 ** min(attempt - 1, 30))
    assert full * (1 - jitter) - 1e-9 <= wait <= full + 1e-9


def test_delay_draws_by_itself() -> None:
    assert len({RetryPolicy().delay(5) for _ in range(20)}) > 1
    assert {RetryPolicy(jitter=0).delay(5) for _ in range(20)} == {1.6}


def test_an_outage_does_not_flood_the_log() -> None:
    assert [attempt for attempt in range(1, 100) if should_log(attempt)] == [1, 4, 8, 16, 32, 64]
