from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from faust_kinesis.leases.checkpoint_tracker import SHARD_END
from faust_kinesis.leases.planner import LeaseSights, leases_to_forget, leases_to_take, parents_are_done
from faust_kinesis.leases.table import TRIM_HORIZON, Lease


def table(*leases: Lease) -> dict[str, Lease]:
    return {lease.key: lease for lease in leases}


def taken(
    leases: dict[str, Lease], sights: LeaseSights | None = None, held: tuple[str, ...] = (), now: float = 0.0
) -> list[str]:
    sights = sights or LeaseSights().after(leases, now)
    plan = leases_to_take(leases, sights, worker_id="me", held=held, left_behind={"1"}, now=now, failover_time=10.0)
    return [lease.key for lease in plan]


def test_nobodys_and_my_own_leases_are_taken_at_once_and_others_are_not() -> None:
    leases = table(
        Lease("0", TRIM_HORIZON),
        Lease("1", TRIM_HORIZON, owner="me"),
        Lease("2", TRIM_HORIZON, owner="other"),
        Lease("3", TRIM_HORIZON, owner="me"),  # of a second process under this worker id
    )
    assert taken(leases) == ["0", "1"]
    assert taken(leases, held=("0",)) == ["1"]


def test_a_lease_in_kcls_handoff_is_left_alone() -> None:
    assert taken(table(Lease("1", TRIM_HORIZON, owner="me", checkpoint_owner="other"))) == []


@given(st.lists(st.tuples(st.floats(0.1, 9.0), st.booleans()), max_size=30))
def test_a_lease_expires_only_after_standing_still_for_the_failover_time(looks: list[tuple[float, bool]]) -> None:
    now, lease, changed_at = 0.0, Lease("0", TRIM_HORIZON, owner="other"), 0.0
    sights = LeaseSights().after(table(lease), now)
    for step, renewed in looks:
        now += step
        if renewed:
            lease, changed_at = replace(lease, counter=lease.counter + 1), now
        sights = sights.after(table(lease), now)
        assert taken(table(lease), sights, now=now) == (["0"] if now - changed_at > 10.0 else [])


def test_a_first_look_never_finds_a_lease_expired() -> None:
    assert taken(table(Lease("0", TRIM_HORIZON, owner="other", counter=7)), now=1e9) == []


def test_children_come_after_their_parents() -> None:
    parents = frozenset({"0", "1"})
    child = Lease("2", TRIM_HORIZON, parents=parents)
    ended, open_ = Lease("0", SHARD_END), Lease("1", "123")
    assert taken(table(ended, open_, child), held=("1",)) == []
    assert taken(table(ended, replace(open_, checkpoint=SHARD_END), child)) == ["2"]
    assert parents_are_done(child, table(child)), "parents without a lease are history"


def test_ended_leases_are_kept_while_their_shard_is_listed() -> None:
    leases = table(Lease("0", SHARD_END), Lease("1", SHARD_END), Lease("2", "5"))
    assert [lease.key for lease in leases_to_forget(leases, {"1"})] == ["0"]
    assert taken(leases) == ["2"]
