"""The result file: one JSON object, a section for each benchmark that was run."""

import json
from pathlib import Path
from typing import Any, Final

from bench.report.machine import describe

ROOT: Final = Path(__file__).parents[2]
#: Where runs write to, out of version control; and the results that docs/benchmarks.md shows.
LATEST: Final = ROOT / "bench" / "results" / "latest.json"
PUBLISHED: Final = ROOT / "docs" / "benchmarks.json"


def load(path: Path) -> dict[str, Any]:
    """Read a result file; empty when there is none."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def keep(path: Path, section: str, figures: dict[str, Any]) -> None:
    """Put a section's figures into the file, with the machine that they come from. The other sections stay."""
    results = load(path)
    results[section] = {"machine": describe(), **figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(results, indent=1) + "\n")
    draft.rename(path)
