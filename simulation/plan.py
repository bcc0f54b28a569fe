"""The plan of a run: who works, on what, in which weather, and what befalls them. Drawn from a seed, and shrinkable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any, Final

from simulation.faults.weather import Climate

#: Seconds of virtual time in which disturbances happen.
STORMY: Final = 25.0
#: Seconds for which a lost events table is gone. AWS takes minutes: longer than any call, pause or retry that has begun
#: before lasts.
AWAY: Final = 40.0
#: Seconds after the operator's restore begins in which disturbances happen, and the share of runs that have one.
_RESTORING: Final = 30.0
_LOST: Final = 0.25
#: The share of runs in which an event of one aggregate type is stored under a key of another's.
_MISPLACED: Final = 0.2

#: What may befall a run, and how likely each is relative to the others. Half of the runs know a few kinds only, each as
#: likely as any other: so what has to meet often does.
DISTURBANCES: Final[dict[str, int]] = {
    "kill": 10,
    "outage": 4,
    "pause": 4,
    "starve": 4,
    "split": 2,
    "merge": 2,
    "rotate": 2,
    "trim": 1,
    "destination_off": 2,
    "poison": 2,
    "foreign_record": 1,
    "tampered_record": 3,
    "tamper": 3,
    "verify": 3,
    "repair": 2,
    "rebuild": 3,
    "redrive": 2,
    "skip": 3,
    "backfill": 3,
    "stray_snapshot": 1,
}


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something that befalls the run at ``at``; ``pick`` chooses its victim, ``seconds`` how long it lasts."""

    at: float
    kind: str
    pick: float
    seconds: float

    @classmethod
    def drawn(cls, random: Random, odds: Mapping[str, int]) -> Disturbance:
        """One of the kinds in ``odds``."""
        return cls(
            at=random.random() * STORMY,
            kind=random.choices(list(odds), list(odds.values()))[0],
            pick=random.random(),
            seconds=random.choice((0.5, 3.0, 15.0)),
        )

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:.2f} s (pick {self.pick:.3f}, {self.seconds:.1f} s)"


@dataclass(frozen=True, slots=True)
class Loss:
    """The events table is deleted at ``at``, and comes back as it was ``back`` seconds earlier, as another table.

    ``waits``: seconds until an operator runs the restore.
    """

    at: float
    back: float
    waits: float

    @classmethod
    def drawn(cls, random: Random) -> Loss | None:
        """Most runs know none."""
        if random.random() >= _LOST:
            return None
        return cls(
            at=5.0 + 12.0 * random.random(),
            back=random.choice((0.0, 1.0, 3.0, 8.0, STORMY)),
            waits=random.choice((0.5, 5.0, 25.0, 45.0)),
        )

    def __str__(self) -> str:
        return f"lost at {self.at:.2f} s, back as {self.back:.1f} s before, restored {self.waits:.1f} s later"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. Everything a run does follows from its plan and its seed."""

    writers: int = 1
    clients: int = 2
    commands: int = 10
    #: Seconds that a client waits between two commands, on average.
    pace: float = 1.0
    #: AWS calls before which no client stops, however few commands it has.
    calls: int = 300
    accounts: int = 2
    #: Aggregates of a second type in the same table, which have the ids of the first accounts.
    vouchers: int = 0
    imports: int = 0
    projectors: int = 1
    readers: int = 1
    bridge: str = "native"
    watch: bool = False
    #: Seconds for which a writer tries again what meets a fault.
    patience: float = 2.0
    #: Odds that the native destination drops, repeats or scatters a record, and the seconds that it may take.
    dropped: float = 0.0
    repeated: float = 0.0
    scattered: float = 0.0
    delay: float = 0.5
    shards: int = 2
    table_shards: int = 1
    batch: int = 100
    page_bytes: int = 2048
    cache: int = 1000
    snapshots: int = 5
    #: Accounts that every second writer holds, from the first one on.
    held: int = 0
    staleness: float = 1.0
    skew: float = 0.0
    climate: Climate = field(default_factory=Climate)
    disturbances: tuple[Disturbance, ...] = ()
    loss: Loss | None = None

    @property
    def domain(self) -> str:
        """The domain that the services of the run serve."""
        return "betting,simulation.vouchers" if self.vouchers else "betting"

    @property
    def keys(self) -> list[str]:
        """The keys of all aggregates."""
        return [
            *(f"account-{number}" for number in range(self.accounts)),
            *(f"voucher~account-{number}" for number in range(self.vouchers)),
        ]

    @property
    def storm(self) -> float:
        """Seconds of virtual time until the faults stop."""
        return self.moment(STORMY)

    def moment(self, at: float) -> float:
        """When a disturbance happens: none while the events table is gone, and those after it until it is restored."""
        loss = self.loss
        if loss is None or at < loss.at:
            return at
        return loss.at + AWAY + (at - loss.at) / (STORMY - loss.at) * (loss.waits + _RESTORING)

    @classmethod
    def drawn(cls, seed: int) -> Plan:
        """The plan of a seed."""
        random = Random(f"plan {seed}")
        bridge = random.choice(("native", "native", "relay"))
        native = bridge == "native"
        count = random.choice((0, 8, 12, 20))
        odds = dict(DISTURBANCES)
        types = Random(f"types {seed}")
        vouchers, misplaced = types.choice((0, 0, 0, 1, 2)), types.random() < _MISPLACED
        if random.random() < 0.5:
            odds = dict.fromkeys(random.sample(list(DISTURBANCES), random.randint(2, 6)), 1)
        return cls(
            writers=random.randint(1, 3),
            clients=random.randint(1, 4),
            commands=random.randint(4, 20),
            pace=random.choice((0.5, 1.0, 2.0)),
            accounts=random.randint(1, 4),
            vouchers=vouchers,
            imports=random.choice((0, 0, 10)),
            projectors=random.randint(1, 3),
            readers=random.randint(0, 1),
            bridge=bridge,
            watch=native and random.random() < 0.5,
            dropped=random.choice((0.0, 0.1, 0.4)) if native else 0.0,
            repeated=random.choice((0.0, 0.1, 0.5)) if native else 0.0,
            scattered=random.choice((0.0, 1.0)) if native else 0.0,
            delay=random.choice((0.0, 0.5, 5.0)),
            patience=random.choice((2.0, 12.0)),
            shards=random.randint(1, 3),
            table_shards=random.randint(1, 3),
            batch=random.choice((2, 10, 100)),
            page_bytes=random.choice((600, 4096, 1024 * 1024)),
            cache=random.choice((1, 2, 1000)),
            snapshots=random.choice((0, 2, 5)),
            staleness=random.choice((0.0, 1.0)),
            skew=random.choice((0.0, 2.0, 60.0)),
            climate=Climate.drawn(random),
            disturbances=tuple(
                sorted(
                    [
                        *(Disturbance.drawn(random, odds) for _ in range(count)),
                        *(Disturbance.drawn(types, {"misplaced_event": 1}) for _ in range(misplaced)),
                    ],
                    key=lambda each: each.at,
                )
            ),
            loss=Loss.drawn(Random(f"loss {seed}")),
            held=random.choice((0, 1, 1000)),
        )

    def described(self) -> list[str]:
        """The plan in lines, as a report shows it."""
        plain = [f.name for f in fields(self) if f.name not in {"climate", "disturbances", "loss"}]
        lines = [", ".join(f"{name} {getattr(self, name)}" for name in plain)]
        climate: Any = self.climate
        lines.append("climate: " + ", ".join(f"{f.name} {getattr(climate, f.name):g}" for f in fields(climate)))
        return lines + [str(each) for each in (*self.disturbances, self.loss) if each is not None]
