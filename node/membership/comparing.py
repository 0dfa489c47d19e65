"""Compares the key statements held here with what other members hold: a member states the same keys to all.

Sees:     which statements other members' nodes hold.
Refuses:  nothing: two statements of one version are told aloud and kept as evidence. Whether a member lies or
          somebody about it is for people to find out, so nobody can have another left out by a false word.
Promises: what differs is in this agency's log, with the notes of those who hold the other one; so is what is
          stated in this agency's own name and not by it, as by a thief of its signing key.
Source:   docs/keys.md, "Statements are compared".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from elsewhere.canonical import Json
from elsewhere.clock import Clock
from elsewhere.comparing import MAX_NOTES, Told, compared_at, open_told, sign_held, statement_checkpoint
from elsewhere.freshness import SOFT
from elsewhere.roster import Roster
from elsewhere.statement import KeyStatement
from elsewhere.transparency.errors import NoteInvalid
from node.keys.live import KeyView
from node.ledger import book
from node.membership.trust import Trust
from node.store.writer import Writer

MAX_TOLD: Final = 4 * MAX_NOTES
_log = structlog.get_logger(__name__)


class Comparing:
    """Says what is held here, and looks at what others say. All calls on the event loop."""

    def __init__(self, trust: Trust, keys: Callable[[], KeyView], writer: Writer, clock: Clock) -> None:
        self._trust, self._keys, self._writer, self._clock = trust, keys, writer, clock
        self._since: dict[tuple[str, bytes], datetime] = {}  # by agency and digest: held, or compared last
        self._told: set[tuple[str, bytes]] = set()  # the same, of which it was told that others hold another
        self._is_late: set[tuple[str, bytes]] = set()

    def notes(self) -> list[bytes]:
        """Say which statements are held here, this agency's own among them."""
        by = (self._trust.roster.federation, self._trust.me, self._keys().signing)
        return [sign_held(held, by, self._clock()) for held in self._held().values()][:MAX_NOTES]

    async def take(self, notes: Sequence[bytes]) -> None:
        """Look at what others say that they hold.

        Raises:
            LogUnavailable, StoreUnavailable: what differs is not in the log yet; it is told again.
        """
        roster = self._trust.roster
        found = await asyncio.to_thread(_opened, notes[:MAX_TOLD], roster)
        every = self._held()
        current = {(agency, held.digest) for agency, held in every.items()}
        self._since = {key: at for key, at in self._since.items() if key in current}
        for agency, held in every.items():
            about = [(told, note) for told, note in found if told.agency == agency]
            for told, note in about:
                if self._is_other(told, held):
                    await self._keep_aside(told, held, note)
            self._note((told for told, _ in about), held, roster)

    def _held(self) -> dict[str, KeyStatement]:
        """The statements held, by agency."""
        return {**self._trust.statements, self._trust.me: self._keys().own.statement}

    def _is_other(self, told: Told, held: KeyStatement) -> bool:
        """Whether somebody holds another statement of this version; of our own agency, or of a later one."""
        mine = statement_checkpoint(self._trust.roster.federation, held)
        if not told.times.keys() - {self._trust.me}:
            return False
        is_later = held.agency == self._trust.me and told.checkpoint.size > mine.size
        return is_later or (told.checkpoint.size == mine.size and told.checkpoint.root != mine.root)

    async def _keep_aside(self, told: Told, held: KeyStatement, note: bytes) -> None:
        """Tell once that two statements of one version are about, or one that this agency never made."""
        key = (held.agency, held.digest)  # once for each statement held: else a member could fill our log
        if key in self._told:
            return
        is_ours = told.agency == self._trust.me
        facts: dict[str, Json] = {
            "agency": told.agency,
            "version": told.checkpoint.size,
            "held": held.digest.hex(),
            "held_version": held.version,
            "note": note.decode("utf-8"),
        }
        entry = book.make_entry("statement", facts, self._clock())
        await self._writer.run(partial(book.append, entry=entry))
        self._told.add(key)
        _log.error(
            "statement.not_ours" if is_ours else "statement.differs",
            agency=told.agency,
            version=told.checkpoint.size,
            held_by=sorted(told.times),
            remedy="see docs/keys.md, 'Statements are compared'",
        )

    def _note(self, told: Iterable[Told], held: KeyStatement, roster: Roster) -> None:
        """Note when a statement was last compared; warn of one with which nobody has for a day."""
        now = self._clock()
        key = (held.agency, held.digest)
        if compared_at(told, held, roster, self._trust.me, now) is not None:
            self._since[key] = now
            self._is_late.discard(key)
            return
        since = self._since.setdefault(key, now)
        if now - since >= SOFT and key not in self._is_late:
            self._is_late.add(key)
            _log.warning("statement.not_compared", agency=held.agency, version=held.version)


def _opened(notes: Sequence[bytes], roster: Roster) -> list[tuple[Told, bytes]]:
    """Read what holds up, with its note. Blocks: a gateway may have made thousands of signatures up."""
    found = []
    for note in notes:
        with contextlib.suppress(NoteInvalid):  # by a key that was replaced, as well
            found.append((open_told(note, roster), note))
    return found
