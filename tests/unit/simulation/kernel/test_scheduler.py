"""Processes, threads, locks, pools and event loops in virtual time."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from simulation.kernel import event_loop, primitives
from simulation.kernel import scheduler as module
from simulation.kernel.scheduler import Killed, Process, Scheduler, StandstillError


@pytest.fixture
def clock() -> Iterator[Scheduler]:
    scheduler = primitives.World.scheduler = Scheduler(1)
    yield scheduler
    scheduler.reap()
    primitives.World.scheduler = None


def spawn(clock: Scheduler, run: Callable[[], object], process: Process | None = None) -> Process:
    process = process or Process("p")
    clock.spawn(process, run, "main")
    return process


def slept(clock: Scheduler, seconds: float) -> float:
    """Sleep; returns when that was over."""
    clock.sleep(seconds)
    return clock.now


def test_time_is_virtual_and_sleepers_go_on_when_they_are_due(clock: Scheduler) -> None:
    seen: list[tuple[str, float]] = []

    def sleeper(name: str, seconds: float) -> None:
        clock.sleep(seconds)
        seen.append((name, clock.now))

    spawn(clock, lambda: sleeper("late", 3600.0))
    spawn(clock, lambda: sleeper("early", 1.0))
    clock.run(7200.0)
    assert seen == [("early", 1.0), ("late", 3600.0)]
    assert clock.now == 7200.0


@pytest.mark.parametrize("seed", range(5))
def test_one_seed_gives_one_order(seed: int) -> None:
    def order() -> list[int]:
        scheduler = primitives.World.scheduler = Scheduler(seed)
        seen: list[int] = []
        for number in range(20):
            spawn(scheduler, lambda number=number: seen.append(number))  # type: ignore[misc]
        scheduler.run(1.0)
        primitives.World.scheduler = None
        return seen

    first = order()
    assert first == order()
    assert first != sorted(first)


def test_a_killed_process_goes_no_further_and_what_it_does_while_it_dies_has_no_effect(clock: Scheduler) -> None:
    seen: list[str] = []

    def worker() -> None:
        try:
            seen.append("began")
            clock.sleep(10.0)
            seen.append("went on")
        finally:
            seen.append("unwound")
            clock.sleep(1.0)
            seen.append("slept while dying")

    process = spawn(clock, worker)
    clock.call_at(5.0, lambda: clock.kill(process))
    clock.run(60.0)
    assert seen == ["began", "unwound"]
    assert not process.alive
    assert process.failure is None


def test_a_process_that_kills_itself_stops_where_it_is(clock: Scheduler) -> None:
    seen: list[str] = []
    process = Process("p")

    def worker() -> None:
        with pytest.raises(Killed):
            clock.kill(process)
        seen.append("raised")

    spawn(clock, worker, process)
    clock.run(1.0)
    assert seen == ["raised"]


def test_a_paused_process_goes_on_later_and_its_threads_with_it(clock: Scheduler) -> None:
    seen: list[float] = []
    process = spawn(clock, lambda: seen.append(slept(clock, 1.0)))
    clock.run(0.5)
    process.paused_until = 30.0
    clock.run(60.0)
    assert seen == [30.0]


def test_a_failure_of_a_fiber_is_kept(clock: Scheduler) -> None:
    def worker() -> None:
        raise ValueError("lost")

    process = spawn(clock, worker)
    clock.run(1.0)
    assert isinstance(process.failure, ValueError)


def test_a_lock_lets_one_in_at_a_time_and_can_be_waited_for_in_vain(clock: Scheduler) -> None:
    lock, seen = primitives.Lock(), list[str]()

    def holder() -> None:
        with lock:
            seen.append("in")
            clock.sleep(5.0)
            seen.append("out")

    for _ in range(3):
        spawn(clock, holder)
    spawn(clock, lambda: seen.append(f"{slept(clock, 0.5)}: got {lock.acquire(timeout=1.0)}"))
    clock.run(60.0)
    assert [each for each in seen if each in {"in", "out"}] == ["in", "out"] * 3
    assert "0.5: got False" in seen


def test_an_event_wakes_whoever_waits_and_a_wait_may_be_over_before(clock: Scheduler) -> None:
    event, seen = primitives.Event(), list[tuple[bool, float]]()
    spawn(clock, lambda: seen.append((event.wait(), clock.now)))
    spawn(clock, lambda: seen.append((event.wait(1.0), clock.now)))
    clock.call_at(2.0, event.set)
    clock.run(60.0)
    assert sorted(seen) == [(False, 1.0), (True, 2.0)]


def test_a_pool_runs_as_many_calls_at_once_as_it_has_threads(clock: Scheduler) -> None:
    seen: list[float] = []

    def caller() -> None:
        with primitives.ThreadPoolExecutor(2) as pool:
            seen.extend(pool.map(lambda seconds: slept(clock, seconds), [1.0, 1.0, 1.0]))

    spawn(clock, caller)
    clock.run(60.0)
    assert seen == [1.0, 1.0, 2.0]


def test_a_call_of_a_pool_raises_to_whoever_asks_for_its_result(clock: Scheduler) -> None:
    seen: list[str] = []

    def caller() -> None:
        pool = primitives.ThreadPoolExecutor(1)
        future = pool.submit(lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            future.result()
        pool.shutdown()
        with pytest.raises(RuntimeError):
            pool.submit(int)
        seen.append("done")

    spawn(clock, caller)
    clock.run(1.0)
    assert seen == ["done"]


def test_each_thread_has_values_of_its_own(clock: Scheduler) -> None:
    local, seen = primitives.Local(), list[str]()

    def worker(name: str) -> None:
        local.name = name
        clock.sleep(1.0)
        seen.append(local.name)

    spawn(clock, lambda: worker("a"))
    spawn(clock, lambda: worker("b"))
    clock.run(5.0)
    assert sorted(seen) == ["a", "b"]
    assert not hasattr(local, "name")


def test_event_loops_of_two_processes_run_side_by_side_in_virtual_time(clock: Scheduler) -> None:
    seen: list[tuple[str, float]] = []

    async def main(name: str, seconds: float) -> None:
        async with asyncio.timeout(100.0):
            await asyncio.sleep(seconds)
        assert await asyncio.to_thread(slept, clock, 1.0) == clock.now
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.Event().wait()
        seen.append((name, asyncio.get_running_loop().time()))

    spawn(clock, lambda: event_loop.run(main("a", 1.0)), Process("a"))
    spawn(clock, lambda: event_loop.run(main("b", 2.0)), Process("b"))
    clock.run(60.0)
    assert seen == [("a", 3.0), ("b", 4.0)]


def test_a_process_that_repeats_itself_without_waiting_is_reported(
    clock: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STEPS", 100)

    def restless() -> None:
        while True:
            clock.sleep(0.0)

    spawn(clock, restless)
    with pytest.raises(StandstillError, match="100 steps"):
        clock.run(1.0)
