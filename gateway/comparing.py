"""Which key statements members hold: each says so, and is told what others say of the same ones.

Sees:     digests of key statements, which are public, and times at which members' nodes ran.
Refuses:  a note that is not the caller's own.
Promises: of each member's word on each agency the newest is held, in memory, and nothing older.
Source:   docs/keys.md, "Statements are compared".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import structlog

from elsewhere.comparing import MAX_NOTE, MAX_NOTES, open_told
from elsewhere.errors import FrameMalformed
from elsewhere.pace import Pace
from elsewhere.roster import Roster
from elsewhere.transparency.checkpoint import Checkpoint
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.note import Verifier, only_by
from elsewhere.transparency.witnesses import witness_name

SHOWN: Final = 8  # lines of others under one statement: more than anybody needs
EXCHANGES, EXCHANGE_EVERY_S = 8, 10.0  # of one member; ours make one an hour
OTHERS: Final = 4  # statements of one version shown at most: two prove that somebody lies

_log = structlog.get_logger("elsewhere.gateway.comparing")


class _Line(NamedTuple):
    """One member's word."""

    at_s: int
    checkpoint: Checkpoint
    text: str


class Comparing:
    """What all members say. All calls on the event loop."""

    def __init__(self, roster: Callable[[], Roster], steady_s: Callable[[], float]) -> None:
        """Begin with nothing.

        Args:
            roster: in force.
            steady_s: a clock that never goes back.
        """
        self._roster, self._steady_s = roster, steady_s
        self._pace = Pace(EXCHANGES, EXCHANGE_EVERY_S)
        self._lines: defaultdict[str, dict[str, _Line]] = defaultdict(dict)  # by agency, then by who says so
        self._differing: set[str] = set()  # agencies of which it was said, since the start

    def exchange(self, caller: str, notes: Sequence[bytes]) -> list[bytes]:
        """Take a member's word on every statement that it holds, and give others' on the same versions.

        Of its own statement it is given what others say of later versions too: it has made none.

        Raises:
            FrameMalformed: too many, or too long.
        """
        if len(notes) > MAX_NOTES or any(len(note) > MAX_NOTE for note in notes):
            raise FrameMalformed("statements", f"expected at most {MAX_NOTES} of {MAX_NOTE} bytes")
        if not self._pace.take(caller, self._steady_s()):
            return []  # it costs a gateway more than anything else that a member may ask of it
        active = {member.agency_id for member in self._roster().active_members()}
        shown: list[bytes] = []
        for note in notes:
            agency = self._take(caller, note)
            if agency is None:
                continue
            mine = self._lines[agency][caller].checkpoint
            others = [line for name, line in self._lines[agency].items() if name in active - {caller}]
            shown += _grouped(line for line in others if _is_shown(line, mine, is_own=agency == caller))
        return shown

    def _take(self, caller: str, note: bytes) -> str | None:
        """Keep a note if it is the caller's and no older than the one held; gives the agency it is about."""
        try:
            told = open_told(note, self._roster(), by=caller)
        except NoteInvalid:
            return None  # under a key that the roster in force here does not list: one was just replaced
        lines = self._lines[told.agency]
        line = _Line(told.times[caller], told.checkpoint, self._own_lines(caller, note))
        if caller not in lines or line.at_s >= lines[caller].at_s:
            lines[caller] = line
        self._tell(told.agency, line.checkpoint)
        return told.agency

    def _own_lines(self, caller: str, note: bytes) -> str:
        """The caller's alone: one that it made up under another's name would void all that it is put with."""
        roster = self._roster()
        name = witness_name(roster.federation, caller)
        own = Verifier(name, roster.active(caller).signing_key, is_witness=True)
        return only_by(note.decode("utf-8"), [own]).rpartition("\n\n")[2]

    def _tell(self, agency: str, stated: Checkpoint) -> None:
        """Say once of an agency that members hold two statements of one version."""
        same = {
            line.checkpoint for line in self._lines[agency].values() if line.checkpoint.size == stated.size
        }
        if len(same) > 1 and agency not in self._differing:
            self._differing.add(agency)
            _log.error("statements differ", agency=agency, version=stated.size)


def _is_shown(line: _Line, mine: Checkpoint, *, is_own: bool) -> bool:
    """Whether it is about the version that the caller holds; of its own one, or a later one."""
    size = line.checkpoint.size
    return size == mine.size or (is_own and size > mine.size)


def _grouped(lines: Iterable[_Line]) -> list[bytes]:
    """Put the newest lines under each statement that they are about."""
    by: defaultdict[Checkpoint, list[str]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: line.at_s, reverse=True):
        by[line.checkpoint].append(line.text)
    return [
        f"{checkpoint.to_text()}\n{''.join(texts[:SHOWN])}".encode()
        for checkpoint, texts in list(by.items())[:OTHERS]
    ]
