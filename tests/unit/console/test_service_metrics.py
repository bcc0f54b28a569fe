"""What services tell at /metrics, as rates and percentiles: of a service that restarts, and of one that is silent."""

import httpx

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
    assert services.metrics.rate("applied_total") == 1
    assert services.metrics.rate("nobody_total") is None
    assert services.metrics.total("nobody_total") is None


def test_nobody_is_asked_twice_within_the_period_and_each_gets_the_token() -> None:
    services = Services()
    services.say(one=counter(1), two=counter(1))
    services.metrics.refresh()
    assert len(services.asked) == 2
    assert {request.headers["Authorization"] for request in services.asked} == {"Bearer kf_secret"}


def test_percentiles_are_of_what_was_read_lately() -> None:
    services = Services()
    for value in range(100):
        services.say(one=f'# TYPE behind gauge\nbehind{{shard="a"}} {value}\n')
    assert services.metrics.percentiles("behind", 0.5, 0.99) == [50, 99]
    assert services.metrics.percentiles("other", 0.5) is None
