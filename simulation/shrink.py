"""Makes a failing plan small: whatever the violation does not need is taken out, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, Final

from simulation.faults.weather import Climate
from simulation.plan import Plan

#: What a plan's numbers may be reduced to.
_LEAST: Final[dict[str, Any]] = {
    "writers": 1,
    "clients": 1,
    "calls": 0,
    "commands": 1,
    "accounts": 1,
    "vouchers": 0,
    "imports": 0,
    "projectors": 1,
    "readers": 0,
    "held": 0,
    "shards": 1,
    "table_shards": 1,
    "dropped": 0.0,
    "repeated": 0.0,
    "scattered": 0.0,
    "delay": 0.0,
    "staleness": 0.0,
    "skew": 0.0,
}


def shrink(plan: Plan, still_fails: Callable[[Plan], bool], *, attempts: int = 80) -> Plan:
    """The smallest plan found that still fails; every attempt is a run."""
    tried = {plan}
    while fresh := next((smaller for smaller in _smaller(plan) if smaller not in tried), None):
        if attempts == 0:
            break
        attempts -= 1
        tried.add(fresh)
        if still_fails(fresh):
            plan = fresh
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    if len(plan.disturbances) > 1:
        yield replace(plan, disturbances=())
    for place in range(len(plan.disturbances)):
        yield replace(plan, disturbances=plan.disturbances[:place] + plan.disturbances[place + 1 :])
    if plan.loss is not None:
        yield replace(plan, loss=None)
    if plan.watch:
        yield replace(plan, watch=False)
    odds = [field.name for field in fields(Climate) if field.name not in {"latency", "slowness"}]
    for name in odds:
        if getattr(plan.climate, name):
            yield replace(plan, climate=replace(plan.climate, **dict.fromkeys([name], 0.0)))
    for name, least in _LEAST.items():
        value = getattr(plan, name)
        for less in (least, value // 2, value - 1) if isinstance(value, int) else (least,):
            if least <= less < value:
                yield replace(plan, **dict[str, Any]({name: less}))
