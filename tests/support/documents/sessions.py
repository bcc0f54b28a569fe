"""The sessions with the HTTP API that the documents show, run as they stand but for the addresses and the account."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class Session:
    """Where it stands, and the status codes that it is answered with, in its order."""

    page: str
    heading: str
    answers: list[int]


FIRST: Final = Session("README.md", "A first session", [201, 201, 201, 200, 422, 412, 201, 200])
LONGER: Final = Session(
    "docs/http.md", "A longer session", [201, 201, 201, 200, 200, 422, 412, 412, 201, 201, *[200] * 7]
)


def statuses(session: Session, project: Path, *, writer: str, projector: str, account: str = "alice") -> list[int]:
    """Run it on a new account against these services; gives the status code of each answer."""
    page = (project / session.page).read_text()
    (text,) = re.findall(rf"## {session.heading}\n.*?```sh\n(.*?)```", page, re.DOTALL)
    text = text.replace("localhost:8080", writer).replace("localhost:6066", projector)
    text = text.replace("alice", account).replace("order-", f"order-{account}-")
    # How soon a summary is there is not what this is about.
    text = text.replace("min_version=3", "min_version=3&wait=60")
    text = re.sub(r"\bcurl -[is]", "curl --silent --output /dev/null --write-out '%{http_code} '", text)
    ran = subprocess.run(["bash", "-ec", text], capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return [int(code) for code in ran.stdout.split()]
