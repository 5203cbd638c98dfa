"""The sessions of a study: whoever runs trials does so in a session, whose facts are stored once.

Facts are what numbers depend on (commit, versions, processor). Each outcome names the session in which it came about.
"""

from __future__ import annotations

from functools import cached_property
from itertools import count, takewhile
from typing import Any

from ..record.facts import alike, changes, environment, facts
from .storage.contract import Storage

Facts = dict[str, Any]


class Sessions:
    """The sessions of a study, or of one of its stages, in its storage.

    storage: of the study. key: of the study in it. number: of the session in which this process runs trials.
    """

    def __init__(self, storage: Storage, key: str) -> None:
        self.storage, self.key, self.number = storage, key, 0
        self._known: list[Facts] = []

    def all(self) -> list[Facts]:
        """Return the facts of every session, in the order of their numbers."""
        attributes = self.storage.get_study_user_attrs(self._id)
        later = takewhile(lambda name: name in attributes, (f"session {k}" for k in count(1)))
        return [attributes.get("facts", {}), *(attributes[name] for name in later)]

    def of(self, number: int) -> Facts:
        """Return the facts of a session, empty where there is none of this number."""
        if number >= len(self._known):
            self._known = self.all()
        return self._known[number] if number < len(self._known) else {}

    def begin(self, facts: Facts) -> None:
        """Begin a session, which is from now on that of this process. Only the holder of the study's lock may do so."""
        self.number = len(self.all())
        self.storage.set_study_user_attr(self._id, f"session {self.number}", facts)

    def adopt(self, facts: Facts) -> int:
        """Return the number of the session that has these facts; it is added behind the others where there is none.

        Only the holder of the study's lock may do so.
        """
        known = self.all()
        if facts not in known:
            self.storage.set_study_user_attr(self._id, f"session {len(known)}", facts)
            return len(known)
        return known.index(facts)

    def join(self) -> None:
        """Run trials in the latest session with the code, versions and processor of this process.

        A new session begins where there is none.
        """
        if self._joined():
            return
        with self.storage.alone(self.key):
            if not self._joined():
                self.begin(facts())

    def _joined(self) -> bool:
        mine = environment()
        same = [number for number, known in enumerate(self.all()) if alike(known, mine)]
        self.number = same[-1] if same else self.number
        return bool(same)

    def news(self, number: int | None = None) -> str:
        """Return one line on how a session differs from an earlier one; empty where numbers cannot differ.

        number: of the session, by default that of this process.
        """
        sessions, number = self.all(), self.number if number is None else number
        return _news(f"session {number} differs", sessions[number], sessions[:number])

    def news_here(self) -> str:
        """Return the same line on a session that this process would begin."""
        return _news("a session of this machine would differ", facts(), self.all())

    @cached_property
    def _id(self) -> int:
        return self.storage.get_study_id_from_name(self.key)


def _news(differs: str, facts: Facts, sessions: list[Facts]) -> str:
    """Return one line on the last session that differs from these facts; empty where none does."""
    for number, earlier in reversed([*enumerate(sessions)]):
        different = changes(earlier, facts)
        if different:
            return (
                f"{differs} from session {number} of this study: {', '.join(different)}; numbers may differ in the "
                "last bits or more, and the column `session` says which trial ran in which"
            )
    return ""
