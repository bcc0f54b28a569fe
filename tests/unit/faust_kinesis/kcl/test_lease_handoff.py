"""Where a stopping worker's leases go."""

from faust_kinesis.kcl.coordination.lease_handoff import moves
from faust_kinesis.leases.checkpoint_tracker import SHARD_END
from faust_kinesis.leases.table import TRIM_HORIZON, Lease


def lease(key: str, owner: str | None = None, *, checkpoint_owner: str | None = None, counter: int = 5) -> Lease:
    return Lease(key, TRIM_HORIZON, owner=owner, checkpoint_owner=checkpoint_owner, counter=counter)


def moved(*leases: Lease, alive: set[str], given: tuple[Lease, ...] = ()) -> dict[str, str | None]:
    """The next owner of each lease that moves, as `me` would have it."""
    plan = moves({it.key: it for it in leases}, {it.key: it for it in given}, alive, "me")
    return {lease.key: owner for lease, owner in plan}


def test_my_leases_go_to_those_who_have_fewest_and_nobody_elses_move() -> None:
    leases = [lease("0", "me"), lease("1", "me"), lease("2", "me"), lease("3", "a"), lease("4", "a"), lease("5")]
    assert moved(*leases, alive={"me", "a", "b"}) == {"0": "b", "1": "b", "2": "a"}


def test_a_worker_that_reports_no_more_gets_nothing_and_keeps_what_it_has() -> None:
    assert moved(lease("0", "me"), lease("1", "dead"), alive={"a"}) == {"0": "a"}


def test_without_anybody_else_they_are_left_free() -> None:
    assert moved(lease("0", "me"), lease("1", "dead"), alive={"me"}) == {"0": None}


def test_an_ended_shards_lease_is_left_alone() -> None:
    assert moved(Lease("0", SHARD_END, owner="me"), alive={"a"}) == {}


def test_what_kcl_has_begun_to_move_ends_with_the_one_of_the_two_that_stays() -> None:
    to_other, to_me = lease("0", "b", checkpoint_owner="me"), lease("1", "me", checkpoint_owner="b")
    assert moved(to_other, to_me, alive={"a", "b"}) == {"0": "b", "1": "b"}
    assert moved(to_other, to_me, alive={"a"}) == {"0": "a", "1": "a"}
    assert moved(lease("2", "b", checkpoint_owner="a"), alive={"a", "b"}) == {}


def test_what_a_receiver_left_behind_without_seeing_it_moves_on() -> None:
    written = lease("0", "a", counter=6)
    assert moved(written, alive={"a", "b"}, given=(written,)) == {}
    assert moved(written, alive={"b"}, given=(written,)) == {"0": "b"}
    assert moved(written, alive=set(), given=(written,)) == {"0": None}


def test_what_a_receiver_has_touched_is_its_own_even_when_it_is_gone() -> None:
    assert moved(lease("0", "a", counter=7), alive={"b"}, given=(lease("0", "a", counter=6),)) == {}
    assert moved(lease("0", "c", counter=6), alive={"b"}, given=(lease("0", "a", counter=6),)) == {}
    assert moved(lease("0", None, counter=6), alive={"b"}, given=(lease("0", None, counter=6),)) == {}
