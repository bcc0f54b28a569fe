"""What a person's command brings: who runs it."""

import getpass
import os
import socket


def operator_name() -> str:
    """Who runs this command, for the record: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"
