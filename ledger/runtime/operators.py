"""Who gives a command, for what is recorded about it."""

import getpass
import os
import socket


def who() -> str:
    """Who runs the command, for the record: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"
