"""Made-up commands for the demo and for `kinfold load`."""

import random
from collections.abc import Iterator

from loyalty.member import MEMBER
from writer import MadeUpCommand, TrafficPlan


def traffic(plan: TrafficPlan) -> Iterator[MadeUpCommand]:
    chance = random.Random(f"{plan.seed}/{plan.stream}")
    while True:
        member = f"{plan.prefix}-{chance.randrange(plan.count):05d}"
        yield post(member, "earnings", points=chance.randint(50, 500))
        yield post(member, "redemptions", points=chance.randint(1, 50), reward=chance.choice(["mug", "pen"]))
        yield post(member, "redemptions", refused=True, points=1_000_000, reward="yacht")


def post(member: str, action: str, *, refused: bool = False, **body: object) -> MadeUpCommand:
    return MadeUpCommand(MEMBER.key(member), f"/members/{member}/{action}", body, refused)
