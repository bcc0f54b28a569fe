"""The README's first session, run as it stands but for the addresses."""

import re
import subprocess
from pathlib import Path
from typing import Final

#: The status codes that it is answered with, in its order.
ANSWERS: Final = [201, 201, 201, 200, 422, 412, 201, 201, 200]


def statuses(project: Path, *, writer: str, projector: str) -> list[int]:
    """Run it against these services; gives the status code of each answer."""
    (session,) = re.findall(r"## A first session\n.*?```sh\n(.*?)```", (project / "README.md").read_text(), re.DOTALL)
    session = session.replace("localhost:8080", writer).replace("localhost:6066", projector)
    # How soon a summary is there is not what this is about.
    session = session.replace("min_version=3", "min_version=3&wait=60")
    session = re.sub(r"\bcurl -[is]", "curl --silent --output /dev/null --write-out '%{http_code} '", session)
    ran = subprocess.run(["bash", "-ec", session], capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return [int(code) for code in ran.stdout.split()]
