"""The processes of this machine, as tests look at them."""

import os
from pathlib import Path

from tests.support.waiting import until


def group(leader: int) -> dict[int, str]:
    """Process id, and name and command line, of every living process in a process group."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, group_id = (place / "stat").read_text().rpartition(")")[2].split()[:3]
            name = (place / "comm").read_text().strip()
            command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if int(group_id) == leader and state != "Z":
            found[int(place.name)] = f"{name} {command}"
    return found


def children(parent: int) -> list[int]:
    """Process ids of the living children of a process."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, parent_id = (place / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent_id) == parent and state != "Z":
            found.append(int(place.name))
    return found


def one(members: dict[int, str], word: str) -> int:
    """The process of that name, or whose command has the word; the first of several."""
    named = [pid for pid, command in members.items() if command.startswith(f"{word} ")]
    return min(named or [pid for pid, command in members.items() if word in command])


def wait_until_gone(leader: int, within: float = 15.0) -> None:
    """Wait until nothing of a process group lives."""
    until(lambda: group(leader), lambda left: not left, within=within)


def exists(pid: int) -> bool:
    """Whether a process lives, a zombie not counted."""
    try:
        os.kill(pid, 0)
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
