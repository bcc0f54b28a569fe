"""What the MultiLangDaemon starts for each shard: a pipe of bytes to the worker's Unix socket.

    python -I -S pipe_process.py SOCKET

Standard library only and run by its path, so that it starts in some 20 ms. It ends when either side ends: the daemon
treats the end of this process as a broken shard and ends too, and the worker sees the connection close.
"""

import os
import signal
import socket
import sys
import threading

_CHUNK = 1 << 18


def _to_daemon(connection: socket.socket) -> None:
    try:
        while chunk := connection.recv(_CHUNK):
            view = memoryview(chunk)
            while view:
                view = view[os.write(1, view) :]
    finally:
        # The worker is gone, or done with the shard: closing standard output signals that to the daemon.
        os._exit(0)


def main() -> None:
    """Copy both ways until either side ends. Raises OSError, into the daemon's log, when the worker does not listen."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # A signal to the whole process group must not take a shard from a worker that is stopping in order.
        signal.signal(number, signal.SIG_IGN)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[1])
    reader = threading.Thread(target=_to_daemon, args=(connection,))
    reader.start()
    while chunk := os.read(0, _CHUNK):
        connection.sendall(chunk)
    connection.shutdown(socket.SHUT_WR)
    reader.join()


if __name__ == "__main__":
    main()
