"""Runs seeds in a process of its own, whose clocks, threads and randomness are the simulation's.

Started by the command with PYTHONHASHSEED=0; writes a JSON object a line: one for each run.
"""

from simulation.kernel import patches

patches.install()

import gc
import json
import logging
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import structlog

from simulation.plan import Plan
from simulation.run import Outcome, play
from simulation.shrink import shrink
from simulation.world import ClientPool

#: Runs after which garbage is collected.
_COLLECTED = 10

#: The packages under test.
PRODUCT = ("aws_client", "betting", "faust_kinesis", "kinfold", "ledger", "projector", "stream_bridge", "writer")


def main(request: dict[str, Any]) -> None:
    """Carry out one request of the command: see ``simulation.command``."""
    patches.replace_datetime(PRODUCT)
    # What the product logs is not what a run is judged by, and costs more than its calls.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    logging.Logger.debug = _nothing  # type: ignore[method-assign]
    # Coroutines of processes that were killed are closed when Python collects them: between runs, and not in one.
    sys.unraisablehook = lambda _: None
    gc.disable()
    pool = ClientPool()
    for runs, seed in enumerate(_seeds(request)):
        if runs % _COLLECTED == 0:
            gc.collect()
            gc.freeze()
        outcome = play(seed, pool, traced=request["traced"])
        _write(outcome)
        if outcome.violations and request["shrink"]:
            _write(_shrunk(outcome, pool))
        if outcome.violations and request["first"]:
            return


def _nothing(*_: object, **__: object) -> None:
    """In place of a debug line: botocore would write some twenty a call."""


def _seeds(request: dict[str, Any]) -> Iterable[int]:
    began = time.process_time()
    for seed in range(request["begin"], request["end"], request["step"]):
        if request["seconds"] is not None and time.process_time() - began > request["seconds"]:
            return
        yield seed


def _shrunk(outcome: Outcome, pool: ClientPool) -> Outcome:
    name = outcome.violations[0].partition(":")[0]

    def still_fails(plan: Plan) -> bool:
        found = play(outcome.seed, pool, plan=plan).violations
        return bool(found) and found[0].partition(":")[0] == name

    return play(outcome.seed, pool, plan=shrink(outcome.plan, still_fails), traced=True)


def _write(outcome: Outcome) -> None:
    described = outcome.plan.described()
    print(json.dumps({**asdict(outcome), "plan": described, "cpu": time.process_time()}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
