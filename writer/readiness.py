"""Waiting, at the start, for what others bring up: the endpoint and the events table."""

import time
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ledger.aws import Clients, wait_for_endpoint
from ledger.errors import ResourceError, TransientError
from writer.accounts import Accounts


def wait_until_ready(
    clients: Clients, accounts: Accounts, table: str, timeout: float, tell: Callable[[str], None]
) -> None:
    """Return once the endpoint answers and the events table can be read; ``tell`` gets a line now and then.

    Raises EndpointError, ThrottledError or ResourceError after ``timeout`` seconds in all.
    """
    deadline = time.monotonic() + timeout
    wait_for_endpoint(clients, timeout, tell)

    def waiting(state: RetryCallState) -> None:
        if state.attempt_number % 5 == 1 and state.outcome is not None:
            tell(f"waiting for table {table}: {state.outcome.exception()}")

    for attempt in Retrying(
        retry=retry_if_exception_type((ResourceError, TransientError)),
        stop=stop_after_delay(max(0.0, deadline - time.monotonic())),
        wait=wait_random_exponential(0.2, max=2),
        before_sleep=waiting,
        reraise=True,
    ):
        with attempt:
            accounts.probe()
