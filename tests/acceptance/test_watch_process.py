"""The watch as a process, beside a projector and a load: the destination falls off, and nobody helps."""

import os
import time
from collections.abc import Callable

import httpx
import pytest

from kinfold.local.service import Service
from kinfold.scrape import counter
from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from tests.support.ledger_load import LedgerLoad
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: Seconds for which the destination is disabled under load; 30 by hand, fewer in every run.
DISABLED = float(os.environ.get("DISABLED_SECONDS", "3"))
QUICK = {"KINFOLD_WATCH_INTERVAL": "0.5", "KINFOLD_WATCH_GRACE": "2", "KINFOLD_WATCH_POLL": "0.3"}


def disable(clients: Clients, names: Names) -> None:
    arn = clients.kinesis.describe_stream_summary(StreamName=names.stream)["StreamDescriptionSummary"]["StreamARN"]
    clients.dynamodb.disable_kinesis_streaming_destination(TableName=names.events, StreamArn=arn)


def ready(service: Service) -> httpx.Response:
    return httpx.get(f"{service.url}/ready", trust_env=False)


def test_a_destination_disabled_under_load_comes_back_with_all_that_it_missed(
    start_projector: Callable[..., Service],
    kinfold: Callable[..., tuple[int, str, str]],
    start_service: Callable[..., Service],
    clients: Clients,
    names: Names,
) -> None:
    projector = start_projector()
    watch = start_service("bridge", "watch", **QUICK)
    with LedgerLoad(clients, names) as load:
        until(lambda: counter(projector.url, "kinfold_projector_records") > 0)
        # Held, so that the spell lasts.
        assert kinfold("bridge", "hold", "--reason", "test")[0] == 0
        disable(clients, names)
        until(lambda: ready(watch).status_code == 503)
        assert "held by" in ready(watch).json()["detail"]
        time.sleep(DISABLED)
        assert counter(watch.url, "kinfold_watch_repairs") == 0
        code, out, _ = kinfold("bridge", "hold", "--lift")
        assert (code, out) == (0, "nobody holds the watch\n")
        until(lambda: counter(watch.url, "kinfold_watch_repairs") == 1)
        until(lambda: counter(watch.url, "kinfold_watch_republished") > 0)
    assert load.differences(heal=False) == {}
    until(lambda: ready(watch).status_code == 200)
    assert kinfold("bridge", "status", "--sample", "0")[0] == 0
    assert watch.stop() == 0
