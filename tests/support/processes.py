"""The processes of this machine, as tests look at them."""

import contextlib
import os
import struct
from ipaddress import ip_address
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


def listening(pid: int) -> set[tuple[str, int]]:
    """Every address and port of TCP on which a process, or a descendant of it, accepts connections."""
    inodes: set[str] = set()
    for descriptor in (Path("/proc") / str(pid) / "fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(descriptor.readlink().name.removeprefix("socket:[").rstrip("]"))
    found = {address for child in children(pid) for address in listening(child)}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and inode in inodes:
                address, _, port = local.partition(":")
                words = struct.iter_unpack("=I", bytes.fromhex(address))
                raw = b"".join(struct.pack(">I", word) for (word,) in words)
                found.add((str(ip_address(raw)), int(port, 16)))
    return found
