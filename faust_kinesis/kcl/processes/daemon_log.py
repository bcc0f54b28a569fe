"""KCL's log, forwarded to ours.

KCL logs every message and every table scan at INFO, so that is our DEBUG, and is written only when that is on. WARN
and ERROR keep their level, but not while the daemon is being stopped: it then complains about the stop. Of a repeated
one, the 1st, 4th, 8th, 16th ... keep it, and the others are DEBUG.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, deque

from aws_client.retry import should_log

log = logging.getLogger(__name__)

_MAX_TEXT = 600
_ENOUGH = 40
"""Characters of a message that make it a repetition of an earlier one."""
_MAX_KINDS = 1000
_LEVELS = {"ERROR": logging.ERROR, "WARN": logging.WARNING, "INFO": logging.DEBUG}
_PAYLOAD = re.compile(r"(Cannot write message |unexpected line on STDOUT for shard [^:]*: ).*")
"""KCL's messages that quote a whole message or a child's line, which may hold records."""


def logback_configuration() -> str:
    """Makes KCL write one line a message: level, logger, shard and text, separated by tabs."""
    text = f"%replace(%.-{_MAX_TEXT}(%msg)){{'[\\r\\n\\t]+', ' '}}"
    error = f"%replace(%.-{_MAX_TEXT}(%ex{{3}})){{'[\\r\\n\\t]+', ' '}}"
    return f"""<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%level\\t%logger{{0}}\\t%X{{ShardId:--}}\\t{text} {error}%nopex%n</pattern></encoder>
  </appender>
  <logger name="software.amazon.kinesis.multilang.GetNextMessageTask" level="INFO"/>
  <logger name="software.amazon.kinesis.multilang.LineReaderTask" level="WARN"/>
  <root level="{"INFO" if log.isEnabledFor(logging.DEBUG) else "WARN"}"><appender-ref ref="OUT"/></root>
</configuration>
"""


class DaemonLog:
    """Forwards the daemon's lines, and remembers the last errors, for a failure that may follow."""

    def __init__(self, stream: str, worker_id: str) -> None:
        self._fields = {"stream": stream, "worker_id": worker_id}
        self._complaints: deque[str] = deque(maxlen=3)
        self._seen: Counter[str] = Counter()
        self.stopping = False

    @property
    def complaints(self) -> str:
        """The last errors, newest last; "" when there were none."""
        return " | ".join(self._complaints)

    def forward(self, line: str) -> None:
        """Forward one line. A line of unknown form (the JVM itself writes such) is a warning."""
        level, _, rest = line.partition("\t")
        parts = rest.split("\t", 2)
        if level not in _LEVELS or len(parts) != 3:
            logger, shard, text, number = "java", "-", line, logging.WARNING
        else:
            logger, shard, text = parts
            number = _LEVELS[level]
        text = _PAYLOAD.sub(r"\1(left out)", text.strip())[:_MAX_TEXT]
        if "unexpected line on STDOUT" in text:
            number = logging.ERROR
        if number >= logging.ERROR or logger == "java":
            self._complaints.append(f"{logger}: {text}")
        if self.stopping:
            number = min(number, logging.INFO)
        elif number >= logging.WARNING and not self._is_news(f"{logger} {text[:_ENOUGH]}"):
            number = logging.DEBUG
        log.log(
            number,
            "KCL %s: %s",
            logger,
            text,
            extra={"action": "kcl_said", "logger_of_kcl": logger, "shard": shard, **self._fields},
        )

    def _is_news(self, kind: str) -> bool:
        if len(self._seen) > _MAX_KINDS:
            self._seen.clear()
        self._seen[kind] += 1
        return should_log(self._seen[kind])
