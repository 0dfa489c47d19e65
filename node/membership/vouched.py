"""When the roster held here was last the newest for certain, as other members' machines have signed.

Refuses:  to go on for longer than seven days without.
Promises: what one process of a node has kept the others have after their next `look`; a file that cannot be
          read or written costs nothing but a question more.
Source:   docs/keys.md, "How fresh a roster is".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from elsewhere.errors import ElsewhereError
from elsewhere.fields import format_instant
from elsewhere.freshness import HARD, RosterStale, fresh_at
from elsewhere.keyfiles import replace_file
from elsewhere.roster import Roster
from elsewhere.transparency.note import MAX_NOTE_BYTES
from node.keys.stamps import NO_FILE, Stamp, stamp

FILE_NAME: Final = "vouched.note"
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SOME_DAY: Final = datetime(9000, 1, 1, tzinfo=UTC)  # a note that is kept was held to the clock when it came
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Vouched:
    """The newest such time. A roster is new when it is signed, so that counts too."""

    folder: Path
    at: datetime = _NEVER
    _seen: Stamp = NO_FILE

    def newest(self, roster: Roster) -> datetime:
        """When this roster was the newest for certain."""
        return max(self.at, roster.issued_utc)

    def check(self, roster: Roster, now: datetime) -> None:
        """Return only while that was not too long ago.

        Raises:
            RosterStale: nobody is to be asked or answered.
        """
        newest = self.newest(roster)
        if now - newest >= HARD:
            last = format_instant(newest.replace(microsecond=0))
            raise RosterStale(
                f"expected two other members to vouch for roster {roster.version} within {HARD.days} days; "
                f"the last time was {last}. See that the gateway and other members are up"
            )

    def take(self, note: bytes, roster: Roster, me: str, now: datetime) -> bool:
        """Take what others have signed if it is newer, and keep it; True if it was. Blocks.

        Raises:
            NoteInvalid: as `fresh_at`. Nothing was changed.
        """
        found = fresh_at(note, roster, me, now)
        if found is None or found <= self.at:
            return False
        self.at = found
        try:
            replace_file(self.folder / FILE_NAME, note)
        except OSError as err:
            _log.warning("roster.vouching_not_kept", code=err.errno)
        return True

    def look(self, roster: Roster, me: str) -> None:
        """Take what another process of this node has kept. Cheap if there is nothing new."""
        path = self.folder / FILE_NAME
        try:
            seen = stamp(path)
            if seen == self._seen:
                return
            self._seen = seen
            with path.open("rb") as file:
                found = fresh_at(file.read(MAX_NOTE_BYTES), roster, me, _SOME_DAY)
        except (OSError, ElsewhereError):
            return  # it is over a roster from before, or damaged: others are asked again
        if found is not None:
            self.at = max(self.at, found)
