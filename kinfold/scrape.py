"""Figures from a service's ``/metrics``."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ledger.errors import ConfigurationError, EndpointError
from ledger.runtime.sockets import is_loopback_url


def scrape(url: str, **labels: str) -> dict[str, float]:
    """The counters and gauges of the service at ``url`` by name without ``_total``, summed over labels.

    With ``labels``, only the samples that carry these. Raises EndpointError when the service does not answer.
    """
    figures: defaultdict[str, float] = defaultdict(float)
    for name, found, value in _samples(url, None):
        if labels.items() <= found.items():
            figures[name] += value
    return figures


def counter(url: str, name: str, **labels: str) -> float:
    """One figure of the service; 0 when it has counted nothing yet. Raises EndpointError."""
    return scrape(url, **labels).get(name, 0.0)


def largest(url: str, name: str, token: str | None) -> float:
    """One figure of the service, of those labels for which it is largest; 0 when it has counted nothing yet.

    ``token``: for a guarded service, of scope operate. Raises EndpointError, and ConfigurationError without that token.
    """
    return max((value for found, _, value in _samples(url, token) if found == name), default=0.0)


def _samples(url: str, token: str | None) -> Iterator[tuple[str, Mapping[str, str], float]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        # A proxy of the environment has no way to our loopback interface.
        answer = httpx.get(f"{url}/metrics", timeout=10, trust_env=not is_loopback_url(url), headers=headers)
        if answer.status_code in {401, 403}:
            raise ConfigurationError(
                f"{url} asks for a token with the scope operate: --token or KINFOLD_TOKEN; "
                "`kinfold token NAME --scope operate` makes one"
            )
        text = answer.raise_for_status().text
    except httpx.HTTPError as error:
        raise EndpointError(f"the metrics of {url} cannot be read: {error}") from error
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                yield sample.name.removesuffix("_total"), sample.labels, sample.value
