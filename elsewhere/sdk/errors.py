"""Errors that only the SDK raises; the same rules hold as in `elsewhere.errors`."""

from __future__ import annotations

from elsewhere.errors import DeskUnreachable


class DeskInterrupted(DeskUnreachable):
    """The node stopped answering midway. What came is in `answers`; ask again for the rest."""

    code = "desk.interrupted"

    def __init__(self, message: str, *, lookup_id: str = "", answers: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.lookup_id, self.answers = lookup_id, answers
