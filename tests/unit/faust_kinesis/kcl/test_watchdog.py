"""When Java counts as hung, and when an agent does."""

import pytest

from faust_kinesis.errors import AgentHungError, DaemonError
from faust_kinesis.kcl.coordination.tables import LeaderLock
from faust_kinesis.kcl.coordination.watchdog import LeaderWatch, Watchdog
from faust_kinesis.options import KinesisOptions


@pytest.fixture
def watchdog() -> Watchdog:
    return Watchdog(KinesisOptions(application="app", worker_id="w1", batch_timeout=10, daemon_timeout=30))


def test_a_daemon_has_time_to_start_and_less_once_it_lives(watchdog: Watchdog) -> None:
    watchdog.check_daemon(1000)
    watchdog.daemon_started(0)
    watchdog.check_daemon(119)
    with pytest.raises(DaemonError, match="no sign of life for 121 s"):
        watchdog.check_daemon(121)
    watchdog.daemon_spoke(122)
    watchdog.check_daemon(150)
    with pytest.raises(DaemonError):
        watchdog.check_daemon(153)


def test_only_a_change_of_the_sign_counts_and_not_the_one_an_earlier_run_left(watchdog: Watchdog) -> None:
    watchdog.daemon_started(0)
    watchdog.daemon_signed("17", 10)
    with pytest.raises(DaemonError):
        watchdog.check_daemon(121)
    watchdog.daemon_signed("18", 121)
    watchdog.daemon_signed("18", 140)
    watchdog.check_daemon(150)
    with pytest.raises(DaemonError):
        watchdog.check_daemon(152)


def test_the_first_sign_of_all_counts_from_the_next_on(watchdog: Watchdog) -> None:
    watchdog.daemon_started(0)
    watchdog.daemon_signed(None, 1)
    watchdog.daemon_signed("1", 100)
    watchdog.daemon_signed("2", 105)
    with pytest.raises(DaemonError):
        watchdog.check_daemon(136)


def test_an_endpoint_that_is_away_proves_nothing(watchdog: Watchdog) -> None:
    watchdog.daemon_started(0)
    watchdog.daemon_spoke(1)
    watchdog.endpoint_was_silent(100)
    watchdog.check_daemon(129)


def test_agents_hang_when_they_have_batches_and_complete_none(watchdog: Watchdog) -> None:
    watchdog.check_agent(0, 0)
    watchdog.check_agent(2, 10)
    with pytest.raises(AgentHungError, match="2 batches and completed none for 11 s"):
        watchdog.check_agent(2, 11)
    watchdog.agent_moved(11)
    watchdog.check_agent(2, 20)
    watchdog.check_agent(0, 40)
    watchdog.check_agent(1, 50)
    with pytest.raises(AgentHungError):
        watchdog.check_agent(1, 51)


class Leader:
    """A leader `w1` and this worker `me`, seen every three seconds; each reports every five."""

    def __init__(self, failover_time: float = 10.0) -> None:
        self.watch = LeaderWatch(5.0, failover_time)
        self.now = 0.0
        self.lock = 0
        self.died_at: float | None = None
        self.reports = True
        self.mine_arrives = True

    def look(self, seconds: float = 3.0) -> bool:
        self.now += seconds
        until = self.now if self.died_at is None else min(self.died_at, self.now)
        lock = LeaderLock("w1", f"{self.lock}-{until // 30:.0f}")
        report = f"{until // 5:.0f}" if self.reports else None
        mine = f"{self.now // 5:.0f}" if self.mine_arrives else "0"
        return self.watch.is_silent(lock, report, mine, self.now)

    def silent_after(self, within: float = 300.0) -> float | None:
        """Seconds from now until it counts as dead."""
        began = self.now
        while self.now - began < within:
            if self.look():
                return self.now - began
        return None


def test_a_leader_that_reports_or_renews_its_lock_is_never_silent() -> None:
    assert Leader().silent_after() is None
    without_reports = Leader()
    without_reports.reports = False
    assert without_reports.silent_after() is None


def test_a_leader_is_silent_after_three_heartbeats_of_this_workers_own() -> None:
    leader = Leader()
    assert leader.silent_after(60) is None
    leader.died_at = leader.now
    after = leader.silent_after()
    assert after is not None
    assert 15 <= after <= 21


def test_before_the_fail_over_time_no_leader_is_silent() -> None:
    leader = Leader(failover_time=60)
    assert leader.silent_after(60) is None
    leader.died_at = leader.now
    after = leader.silent_after()
    assert after is not None
    assert after >= 60


def test_without_a_report_the_lock_counts() -> None:
    leader = Leader()
    leader.reports = False
    assert leader.silent_after(60) is None
    leader.died_at = leader.now
    after = leader.silent_after()
    assert after is not None
    assert after >= 90


def test_while_this_workers_own_reports_stay_away_nobody_is_silent() -> None:
    leader = Leader()
    leader.mine_arrives = False
    leader.died_at = 0.0
    assert leader.silent_after() is None
    leader.mine_arrives = True
    assert leader.silent_after() is not None


def test_a_time_for_which_nobody_looked_does_not_count() -> None:
    leader = Leader()
    leader.died_at = 0.0
    for _ in range(20):
        assert not leader.look(30)


def test_a_new_lock_begins_anew_and_none_is_nobodys() -> None:
    leader = Leader()
    leader.died_at = 0.0
    leader.look()
    for _ in range(20):
        leader.lock += 1
        assert not leader.look()
    assert not any(leader.watch.is_silent(None, None, str(now), now) for now in range(60, 300, 3))
