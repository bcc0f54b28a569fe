"""Figures from a service's ``/metrics``."""

from collections import defaultdict

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ledger.errors import EndpointError


def scrape(url: str, **labels: str) -> dict[str, float]:
    """The counters and gauges of the service at ``url`` by name without ``_total``, summed over labels.

    With ``labels``, only the samples that carry these. Raises EndpointError when the service does not answer.
    """
    try:
        text = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).raise_for_status().text
    except httpx.HTTPError as error:
        raise EndpointError(f"the metrics of {url} cannot be read: {error}") from error
    figures: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if labels.items() <= sample.labels.items() and not sample.name.endswith("_created"):
                figures[sample.name.removesuffix("_total")] += sample.value
    return figures


def counter(url: str, name: str, **labels: str) -> float:
    """One figure of the service; 0 when it has counted nothing yet. Raises EndpointError."""
    return scrape(url, **labels).get(name, 0.0)
