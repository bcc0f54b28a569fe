"""Figures from a service's ``/metrics``."""

import ssl
from collections import defaultdict
from functools import cache

import httpx

from console.looking.samples import samples
from ledger.errors import EndpointError
from ledger.runtime.sockets import is_loopback_url


def scrape(url: str, **labels: str) -> dict[str, float]:
    """The counters and gauges of the service at ``url`` by name without ``_total``, summed over labels.

    With ``labels``, only the samples that carry these. Raises EndpointError when the service does not answer.
    """
    try:
        # A proxy of the environment has no way to our loopback interface.
        trust = not is_loopback_url(url)
        answer = httpx.get(f"{url}/metrics", timeout=10, trust_env=trust, verify=_authorities()).raise_for_status()
    except httpx.HTTPError as error:
        raise EndpointError(f"the metrics of {url} cannot be read: {error}") from error
    figures: defaultdict[str, float] = defaultdict(float)
    for name, found, value in samples(answer.text):
        if labels.items() <= found.items():
            figures[name.removesuffix("_total")] += value
    return figures


def counter(url: str, name: str, **labels: str) -> float:
    """One figure of the service; 0 when it has counted nothing yet. Raises EndpointError."""
    return scrape(url, **labels).get(name, 0.0)


@cache
def _authorities() -> ssl.SSLContext:
    """The authorities that this machine trusts, read once: they take 30 ms of CPU."""
    return httpx.create_ssl_context()
