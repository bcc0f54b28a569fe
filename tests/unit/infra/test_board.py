"""The board: it shows what is exposed, all of it, and Grafana can read it without a plugin or another host."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.observing.exposed import samples
from tests.support.observing.files import BOARD, GRAFANA, needs_prometheus, panels, queries, rules
from tests.support.observing.promql import OWN, selectors, unknown
from tests.support.waiting import PATIENCE

#: What Grafana brings along.
CORE: Final = {"stat", "table", "timeseries", "state-timeline"}
#: What no panel shows, and why.
NOT_SHOWN: Final[dict[str, str]] = {}


def board() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(BOARD.read_text())
    return read


def test_every_series_and_label_of_a_query_is_exposed() -> None:
    recorded = {rule["record"]: frozenset[str]() for rule in rules("record")}
    known = {**samples(), **OWN, **recorded}
    for title, query in queries():
        told = frozenset(re.findall(r"\{\{(\w+)\}\}", query["legendFormat"]))
        assert unknown(query["expr"], known, told) == [], title


def test_everything_that_is_exposed_is_shown() -> None:
    shown = {name for _, query in queries() for name, _ in selectors(query["expr"])}
    recorded = {rule["record"]: rule["expr"] for rule in rules("record")}
    shown |= {name for each in shown & recorded.keys() for name, _ in selectors(recorded[each])}
    parts = re.compile(r"_(sum|count)$")  # of histograms, whose buckets are shown
    exposed = {name for name in samples() if not (parts.search(name) and f"{parts.sub('', name)}_bucket" in shown)}
    assert exposed - shown == NOT_SHOWN.keys()


def test_rows_and_panels_lie_beside_one_another() -> None:
    rows = [panel["title"] for panel in board()["panels"] if panel["type"] == "row"]
    assert rows == [
        "Overview",
        "Writer",
        "Stream and lag",
        "Read models",
        "Dead letters and halted aggregates",
        "Readers",
        "Bridge",
        "Costs",
    ]
    taken: set[tuple[int, int]] = set()
    for panel in board()["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert max(right for right, _ in cells) < 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in board()["panels"]]
    assert len(set(ids)) == len(ids)


def test_it_is_provisioned_with_its_data_source_and_needs_no_plugin() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/kinfold.yml").read_text())["providers"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    assert {panel["type"] for panel in panels()} == CORE
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": source["uid"]}, panel["title"]
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH")[: len(panel["targets"])]
    assert "http" not in BOARD.read_text()


@needs_prometheus
def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    found = [{"record": f"query:{number}", "expr": query["expr"]} for number, (_, query) in enumerate(queries())]
    (tmp_path / "board.yml").write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": found}]}))
    command = ["promtool", "check", "rules", str(tmp_path / "board.yml")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert answer.returncode == 0, answer.stdout + answer.stderr
