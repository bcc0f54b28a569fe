"""The machine and the versions that a result was measured with. No names of hosts or people."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

_PACKAGES: Final = ("boto3", "faust-streaming", "orjson", "pydantic", "ministack", "kclpy-ext")


def describe() -> dict[str, Any]:
    """Processor, memory, kernel, Python and the packages that decide the speed."""
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) / 1024**2),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in _PACKAGES},
        "measured_on": datetime.now(UTC).date().isoformat(),
        "load_before": round(os.getloadavg()[0], 1),
    }


def _field(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    found = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name)
    return next(found, None)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
