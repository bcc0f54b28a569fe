"""The rules and the board in ``infra/``, as they are read by Prometheus and Grafana."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

INFRA: Final = Path(__file__).parents[3] / "infra"
PROMETHEUS: Final = INFRA / "prometheus"
GRAFANA: Final = INFRA / "grafana"
BOARD: Final = GRAFANA / "dashboards" / "kinfold.json"
#: `.ci/run` unpacks Debian's package, so that nothing of it starts by itself.
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="prometheus and promtool are not on PATH: apt-get install prometheus, or brew install prometheus",
)


def rules(kind: str) -> list[dict[str, Any]]:
    """Every rule of a kind, ``alert`` or ``record``."""
    groups = (group for path in PROMETHEUS.glob("*.rules.yml") for group in yaml.safe_load(path.read_text())["groups"])
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def panels() -> list[dict[str, Any]]:
    """The board's panels, without its rows."""
    board = json.loads(BOARD.read_text())
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, dict[str, Any]]]:
    """Each query of the board with its panel's title; what Grafana fills in is filled in."""
    return [
        (panel["title"], {**target, "expr": target["expr"].replace("$__rate_interval", "1m")})
        for panel in panels()
        for target in panel["targets"]
    ]
