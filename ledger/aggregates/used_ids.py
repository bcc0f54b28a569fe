"""Ids that an aggregate takes once, for ever: the latest in its state, the older ones in an archive."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class UsedIds:
    """Ids by the number of the event that used each up.

    They may be left to the archive (``leave``), or the state would grow for ever. Where ``may_be_archived`` says so,
    the archive is to be asked first, and ``recall`` takes what it knows.
    """

    recent: dict[str, int] = field(default_factory=dict)
    has_archive: bool = False

    def __contains__(self, used_id: str) -> bool:
        return used_id in self.recent

    def __len__(self) -> int:
        return len(self.recent)

    def add(self, used_id: str, sequence_number: int) -> None:
        """The event of this number used the id up."""
        self.recent[used_id] = sequence_number

    def may_be_archived(self, used_id: str) -> bool:
        """Whether only the archive can say if the id was used."""
        return self.has_archive and used_id not in self.recent

    def recall(self, used_ids: Iterable[str]) -> None:
        """Know again of ids that the archive has."""
        self.recent.update(dict.fromkeys(used_ids, 0))

    def since(self, version: int) -> Mapping[str, int]:
        """Those that were used after ``version``; archived ones that were recalled are none."""
        return {used_id: number for used_id, number in self.recent.items() if number > version}

    def leave(self, version: int) -> None:
        """Leave those that were used up to ``version`` to the archive, which has them."""
        left = dict(self.since(version)) if self.recent else self.recent
        if len(left) < len(self.recent):
            self.recent, self.has_archive = left, True

    def copy(self) -> "UsedIds":
        """The same ids, to be changed by themselves."""
        return UsedIds(dict(self.recent), self.has_archive)
