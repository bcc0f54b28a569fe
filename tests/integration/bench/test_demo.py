"""A demo that is measured is a whole one, on an endpoint of its own."""

import pytest

from bench.demo.demo import measure
from bench.report.results import ROOT

pytestmark = pytest.mark.acceptance


def test_a_demo_is_run_and_its_services_are_counted() -> None:
    found = measure(ROOT, 30)
    assert found["per_second"] == pytest.approx(30 / found["seconds"])
    # Five processes, each of which takes half a second to start at least.
    assert found["cpu_seconds"] > 2
