from hypothesis import given
from hypothesis import strategies as st

from aws_client.retry import delay, should_log


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_delay_grows_to_a_bound_and_keeps_half_of_itself(attempt: int, draw: float) -> None:
    wait = delay(attempt, draw, base=0.1, maximum=15.0)
    full = min(15.0, 0.1 * 2.0 ** min(attempt - 1, 30))
    assert full / 2 <= wait <= full


def test_an_outage_does_not_flood_the_log() -> None:
    assert [attempt for attempt in range(1, 100) if should_log(attempt)] == [1, 4, 8, 16, 32, 64]
