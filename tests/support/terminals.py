"""A terminal of any width, and what stands on it in the end."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from typing import NamedTuple

#: What programs send that is no text: control sequences (ECMA-48), carriage return and line feed.
_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")


class Typed(NamedTuple):
    """What a person types once a text stands on the terminal."""

    after: str
    keys: str


def on_terminal(
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    columns: int = 80,
    timeout: float = 60,
    typed: Typed | None = None,
) -> tuple[int, str]:
    """Run a command on a terminal of its own; gives its exit code and the text that stands there at the end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(
        command,
        env={**env, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # Only the terminal that a process leads gives it a Ctrl-C.
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
    ) as process:
        os.close(theirs)
        written = bytearray()
        while chunk := _read(ours):
            written += chunk
            if typed is not None and typed.after.encode() in written:
                os.write(ours, typed.keys.encode())
                typed = None
        code = process.wait(timeout)
    os.close(ours)
    return code, "\n".join(screen(written.decode()))


def screen(written: str) -> list[str]:
    """The lines that stand on a terminal after this was written to it; one that is too long is one line."""
    lines, row, column = [""], 0, 0
    for token in _TOKEN.finditer(written):
        text, count = token[0], int(token[1]) if (token[1] or "").isdigit() else 1
        match token[2]:
            case None if text == "\r":
                column = 0
            case None if text == "\n":
                row += 1
                lines += [""] * (row - len(lines) + 1)
            case None:
                lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
                column += len(text)
            case "A":
                row = max(0, row - count)
            case "K":
                lines[row] = "" if token[1] == "2" else lines[row][:column]
    return [line.rstrip() for line in lines]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: nobody has the other side any more
        return b""
