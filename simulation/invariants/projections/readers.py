"""What readers see: no version of an account goes back, whatever generation it is read from."""

from __future__ import annotations

from simulation.invariants.history import Violated


class Readers:
    """Versions as each reader saw them."""

    def __init__(self, violated: Violated) -> None:
        self._violated = violated
        self._seen: dict[tuple[str, str, str], int] = {}

    def forget(self) -> None:
        """Events were lost: versions may go back."""
        self._seen.clear()

    def saw(self, reader: str, projection: str, account: str, version: int | None) -> None:
        """A reader saw an account at a version; None: it saw none."""
        place = (reader, projection, account)
        before = self._seen.get(place, 0)
        if (version or 0) < before:
            self._violated("no reader sees a version go back", f"{projection} {account}: from {before} to {version}")
        self._seen[place] = max(before, version or 0)
