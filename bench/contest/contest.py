"""The contest: every contender on the same stream of the same embedded AWS, in alternating runs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bench.contest.bench_profile import BenchProfile, Emulator, bench_profile, emulator
from bench.contest.contenders import Contender, Task
from bench.contest.workloads import WORKLOADS, Delivery, Workload
from betting.account import Account
from betting.account_type import ACCOUNT


@dataclass(frozen=True, slots=True)
class Sizes:
    """``events``: distinct ones on the stream, for Kinfold; ``peer_records``: the first records, for a peer."""

    events: int
    backlog: int
    peer_records: int
    runs: int
    shards: int
    seed: int = 6


def contest(
    contenders: Sequence[Contender], workloads: Sequence[str], sizes: Sizes, report: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Run it; yields, after each workload, the settings and all runs so far by workload and contender."""
    found: dict[str, Any] = {}
    for name in workloads:
        with emulator() as aws, bench_profile(aws.url) as profile:
            found[name] = _workload(WORKLOADS[name], contenders, sizes, aws, profile, report)
        yield {
            "runs": sizes.runs,
            "shards": sizes.shards,
            "peer_records": sizes.peer_records,
            "seed": sizes.seed,
            "contenders": {each.name: each.text for each in contenders},
            "workloads": found,
        }


def _workload(
    workload: Workload,
    contenders: Sequence[Contender],
    sizes: Sizes,
    aws: Emulator,
    profile: BenchProfile,
    report: Callable[[str], None],
) -> dict[str, Any]:
    count = sizes.backlog if workload.name == "backlog" else sizes.events
    profile.create_stream(sizes.shards)
    deliveries = list(workload.deliveries(count, sizes.seed))
    if workload.needs_store:
        profile.store(dict.fromkeys(each.event for each in deliveries))
    records, size = profile.put(deliveries)
    fold = folded(deliveries)
    report(f"{workload.name}: {records} records of {size} bytes on {sizes.shards} shards")
    runs: dict[str, list[dict[str, Any]]] = {each.name: [] for each in contenders}
    for number in range(sizes.runs):
        turn = number % len(contenders)
        for contender in [*contenders[turn:], *contenders[:turn]]:
            share = min(records, sizes.peer_records) if contender.prefix else records
            before = aws.cpu_seconds()
            run = contender.run(Task(profile, count, share))
            run["emulator_cpu_seconds"] = aws.cpu_seconds() - before
            if share == records:
                run["wrong_balances"] = len(wrong_balances(profile, contender, fold))
            run.pop("series", None)
            runs[contender.name].append(run)
            rate = run["handled"] / run["seconds"]
            report(f"  {number + 1}/{sizes.runs} {contender.name}: {rate:.0f} events/s, {_wrong(run)}")
    for contender in contenders:
        contender.clear(profile)
    return {"text": workload.text, "events": count, "records": records, "bytes": size, "runs": runs}


def _wrong(run: dict[str, Any]) -> str:
    if "wrong_balances" not in run:
        return "a part of the stream"
    return f"{run['wrong_balances']} wrong balances"


def folded(deliveries: Sequence[Delivery]) -> dict[str, Decimal]:
    """The balances that are right: each account's distinct events, by the account's own fold."""
    events = {(each.event.aggregate_id, each.event.sequence_number): each.event for each in deliveries}
    accounts: dict[str, Account] = {}
    for _, event in sorted(events.items()):
        accounts.setdefault(event.aggregate_id, Account(event.aggregate_id)).apply(event.decode(ACCOUNT))
    return {account_id: account.balance for account_id, account in accounts.items()}


def wrong_balances(profile: BenchProfile, contender: Contender, fold: dict[str, Decimal]) -> dict[str, Decimal | None]:
    """The accounts whose balance in the contender's table is not the fold's, with what it holds."""
    held: dict[str, Decimal] = {}
    table = contender.balances(profile)
    for page in profile.clients.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        held |= {item["aggregateId"]["S"]: _amount(item["balance"]) for item in page["Items"]}
    return {
        account: held.get(account) for account in fold.keys() | held.keys() if held.get(account) != fold.get(account)
    }


def _amount(value: Any) -> Decimal:
    # A peer keeps a number, since ADD needs one; Kinfold the text of an amount.
    return Decimal(value["N"] if "N" in value else value["S"])
