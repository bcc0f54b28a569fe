"""The delay from an append to the summary that shows it, through the services as users run them."""

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from bench.contest.bench_profile import emulator
from kinfold.demo.disposable import delete_profile, disposable_profile
from kinfold.local.environment import service_clients
from kinfold.local.stack import Stack

#: Seconds between two reads of a shard: the projector's default.
POLL_INTERVAL = 0.25


def delay(appends: int, shards: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Append by HTTP, then ask the projector for that version; the seconds from the append's answer to the summary.

    Appends come at random moments, so that none keeps step with the polling.
    """
    rng = random.Random(6)
    with emulator() as aws, tempfile.TemporaryDirectory(prefix="bench-logs-") as logs:
        profile = disposable_profile("test-")
        clients = service_clients(aws.url, profile)
        with (
            Stack(aws.url, profile=profile, shards=shards, log_dir=Path(logs), report=report) as stack,
            httpx.Client(trust_env=False, timeout=60) as http,
        ):
            _once(http, stack, "warm-up")
            pairs = []
            for number in range(appends):
                time.sleep(rng.uniform(0, POLL_INTERVAL))
                pairs.append(_once(http, stack, f"player-{number % 50:02d}"))
        delete_profile(clients, profile)
    from_answer, from_sending = (sorted(values) for values in zip(*pairs, strict=True))
    report(f"delay: p50 {from_answer[len(pairs) // 2] * 1000:.0f} ms")
    return {
        "appends": appends,
        "shards": shards,
        "poll_interval": POLL_INTERVAL,
        "from_answer_millis": _percentiles(from_answer),
        "from_sending_millis": _percentiles(from_sending),
    }


def _once(http: httpx.Client, stack: Stack, account: str) -> tuple[float, float]:
    """Seconds to the visible summary: from the append's answer, and from when it was sent."""
    sent = time.perf_counter()
    body = {"amount": "12.50", "currency": "EUR"}
    answer = http.post(f"{stack.writer.url}/accounts/{account}/deposits", json=body).raise_for_status()
    answered = time.perf_counter()
    version = answer.json()["version"]
    http.get(f"{stack.projector.url}/balances/{account}", params={"min_version": version}).raise_for_status()
    seen = time.perf_counter()
    return seen - answered, seen - sent


def _percentiles(ordered: list[float]) -> dict[str, float]:
    return {name: ordered[int(len(ordered) * share)] * 1000 for name, share in (("p50", 0.5), ("p99", 0.99))}
