"""Who has lately seen the roster in force: members leave a line, and take those of others.

Holds:    the gateway's own key; of each member its newest line, in memory.
Sees:     times at which members' nodes ran.
Refuses:  a line that is not the caller's own.
Promises: a line over another roster than the one in force here is not kept: it would help nobody.
"""

from __future__ import annotations

from collections.abc import Callable

from elsewhere.errors import FrameMalformed
from elsewhere.freshness import MAX_LINE, roster_checkpoint, sign_as_gateway
from elsewhere.roster import Roster
from elsewhere.signing import SigningKey
from elsewhere.transparency.checkpoint import open_checkpoint
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.note import Verifier, add_lines
from elsewhere.transparency.witnesses import witness_name

SHOWN = 8  # of other members: more than anybody needs


class Freshening:
    """The lines over one roster; those of the roster before it are dropped. All calls on the event loop."""

    def __init__(self, roster: Callable[[], Roster], key: SigningKey) -> None:
        self._roster, self._key = roster, key
        self._digest = b""
        self._bare = ""
        self._lines: dict[str, tuple[int, str]] = {}  # by agency: POSIX time, line

    def exchange(self, caller: str, line: str) -> str:
        """Take a member's line and give the newest of others.

        Raises:
            FrameMalformed: too long.
            NotActive: the caller is no active member.
        """
        roster = self._roster()
        member = roster.active(caller)
        if len(line) > MAX_LINE:
            raise FrameMalformed("line", f"expected at most {MAX_LINE} characters")
        if roster.digest != self._digest:
            self._digest, self._lines = roster.digest, {}
            self._bare = sign_as_gateway(roster, self._key)
        if line:
            by = Verifier(witness_name(roster.federation, caller), member.signing_key, is_witness=True)
            self._take(caller, line, by)
        newest = sorted((held for name, held in self._lines.items() if name != caller), reverse=True)
        return add_lines(self._bare, [text for _, text in newest[:SHOWN]])

    def _take(self, caller: str, line: str, by: Verifier) -> None:
        """Keep a line if it is over this roster, and newer than the one held."""
        stated = roster_checkpoint(self._roster())
        try:
            note = add_lines(self._bare, [line])
            seen = open_checkpoint(note.encode(), stated.origin, self._key.public, [by])
        except NoteInvalid:
            return  # of another roster: whoever sent it is behind, or this gateway is
        at_s = seen.witnesses[0].at_s if seen.witnesses else None
        if at_s is not None and at_s > self._lines.get(caller, (0, ""))[0]:
            self._lines[caller] = (at_s, line)
