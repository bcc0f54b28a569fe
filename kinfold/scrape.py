"""Figures from a service's ``/metrics``."""

from collections import defaultdict

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ledger.errors import EndpointError


def scrape(url: str) -> dict[str, float]:
    """Every counter and gauge of the service at ``url``, summed over its labels, by name without ``_total``.

    Raises EndpointError when the service does not answer.
    """
    try:
        text = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).raise_for_status().text
    except httpx.HTTPError as error:
        raise EndpointError(f"the metrics of {url} cannot be read: {error}") from error
    figures: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                figures[sample.name.removesuffix("_total")] += sample.value
    return figures


def counter(url: str, name: str) -> float:
    """One figure of the service; 0 when it has counted nothing yet. Raises EndpointError."""
    return scrape(url).get(name, 0.0)
