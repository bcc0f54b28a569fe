"""Blocking AWS calls from the event loop: run in a thread pool, retried while they fail transiently."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from aws_client.failures import code_of, is_transient
from aws_client.retry import RetryPolicy, should_log

log = logging.getLogger(__name__)
T = TypeVar("T")

_BACKOFF = RetryPolicy()


class RetryListener(Protocol):
    """Hears which calls are being retried, on the event loop's thread."""

    def failed(self, action: str, error: BaseException) -> None:
        """An attempt failed transiently and will be retried."""

    def over(self, action: str) -> None:
        """Retrying ended: the call was answered, failed permanently, or was cancelled."""


class CallPool:
    """A bounded pool of threads for one kind of call, so that slow reads never delay the renewal of a lease."""

    def __init__(
        self,
        threads: int,
        name: str,
        *,
        transient: Callable[[BaseException], bool] = is_transient,
        policy: RetryPolicy = _BACKOFF,
        listener: RetryListener | None = None,
        **fields: str,
    ) -> None:
        """`transient` decides which failures are retried; `fields` are added to every log line."""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"faust-kinesis-{name}")
        self._transient = transient
        self._policy = policy
        self._listener = listener
        self._fields = fields

    async def once(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run the call in a thread. Cancellation does not interrupt the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: call(*args, **kwargs))

    async def retry_until_answered(self, action: str, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run the call, and retry it with backoff, without limit, while it fails transiently.

        `action` names the call in the log, such as "read shardId-0". Any other failure is raised unchanged.
        """
        failed = False

        def log_retry(state: RetryCallState) -> None:
            nonlocal failed
            error = state.outcome.exception() if state.outcome is not None else None
            assert error is not None
            if self._listener:
                failed = True
                self._listener.failed(action, error)
            attempt = state.attempt_number
            if should_log(attempt):
                fields = {"action": "call_retried", "attempt": attempt, "error_code": code_of(error), **self._fields}
                log.warning("Could not %s (attempt %d), trying again: %s", action, attempt, error, extra=fields)

        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception(self._transient),
                wait=self._policy,
                before_sleep=log_retry,
                sleep=asyncio.sleep,
                reraise=True,
            ):
                with attempt:
                    return await self.once(call, *args, **kwargs)
            raise AssertionError("retrying ended without an answer")
        finally:
            if self._listener and failed:
                self._listener.over(action)

    def close(self) -> None:
        """Accept no more calls and cancel queued ones. Running calls are not interrupted."""
        self._executor.shutdown(wait=False, cancel_futures=True)
