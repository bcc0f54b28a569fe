"""What services tell at /metrics, as rates and percentiles: of a service that restarts, and of one that is silent."""

import httpx
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from console.looking.service_metrics import PERIOD, ServiceMetrics


class Services:
    """Two services; what each answers can be set."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.texts: dict[str, str | int] = {}
        self.asked: list[httpx.Request] = []
        transport = httpx.MockTransport(self.answer)
        urls = ["http://one", "http://two/"]
        self.metrics = ServiceMetrics(urls, "kf_secret", now=lambda: self.now, transport=transport)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        found = self.texts.get(request.url.host, 503)
        return httpx.Response(found) if isinstance(found, int) else httpx.Response(200, text=found)

    def say(self, seconds: float = PERIOD, **texts: str | int) -> None:
        self.texts |= texts
        self.now += seconds
        self.metrics.refresh()


def counter(value: float) -> str:
    return f"# TYPE applied counter\napplied_total {value}\n"


def test_a_rate_is_of_all_services_and_survives_a_restart() -> None:
    services = Services()
    services.say(one=counter(100), two=counter(10))
    assert services.metrics.rate("applied_total") is None
    services.say(10, one=counter(200), two=counter(10))
    assert services.metrics.rate("applied_total") == 10
    services.say(10, one=counter(5))
    # 5 of a process that counts from 0 again, over the 10 seconds since it was read, or the 20 since the first reading.
    rate = services.metrics.rate("applied_total")
    assert rate is not None
    assert 0 < rate <= 10
    assert services.metrics.total("applied_total") == 15


def test_a_silent_service_says_so_and_the_other_one_still_counts() -> None:
    services = Services()
    services.say(one=counter(1), two=counter(1))
    services.say(one=counter(3), two=401)
    assert [each.error for each in services.metrics.services] == [None, "it answers with 401"]
    assert services.metrics.rate("applied_total") == 2 / PERIOD
    assert services.metrics.rate("nobody_total") is None
    assert services.metrics.total("nobody_total") is None


def test_nobody_is_asked_twice_within_the_period_and_each_gets_the_token() -> None:
    services = Services()
    services.say(one=counter(1), two=counter(1))
    services.metrics.refresh()
    assert len(services.asked) == 2
    assert {request.headers["Authorization"] for request in services.asked} == {"Bearer kf_secret"}


def test_read_models_count_together_or_by_the_one_that_takes_most() -> None:
    services = Services()
    text = 'applied_total{{table="a"}} {}\napplied_total{{table="b"}} {}\n'
    services.say(one=text.format(0, 0))
    services.say(10, one=text.format(100, 50))
    assert services.metrics.rate("applied_total") == 15
    assert services.metrics.rate("applied_total", max) == 10


def test_what_nobody_asks_for_is_not_kept() -> None:
    services = Services()
    registry = CollectorRegistry()
    Histogram("kept_seconds", "t", registry=registry).observe(1.5)
    Gauge("python_gc", "t", registry=registry).set(3)
    services.say(one=generate_latest(registry).decode())
    assert services.metrics.total("kept_seconds_sum") == 1.5
    assert services.metrics.total("kept_seconds_count") == 1
    names = {name for _, figures in services.metrics.services[0].readings for name, _ in figures}
    assert names == {"kept_seconds_sum", "kept_seconds_count"}


def test_percentiles_are_of_what_was_read_lately() -> None:
    services = Services()
    for value in range(60):
        services.say(one=f'# TYPE behind gauge\nbehind{{shard="a"}} {value}\n')
    assert services.metrics.percentiles("behind", 0.5, 0.99) == [30, 59]
    assert services.metrics.percentiles("other", 0.5) is None
