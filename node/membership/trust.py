"""What this node believes about the federation: only documents it has verified, never older than one seen.

Holds:    the trust anchor that was handed over in person; the newest roster, agreement and key statements.
Sees:     public documents, from a gateway that may withhold them but cannot make them.
Refuses:  rollbacks, forks and anything unsigned; a refused document changes nothing.
Promises: what was taken is in force at once, also when the disk is full; `keep` writes it down, and tries
          again what could not be written before. Each document read is whole: any thread may read. What one
          process of a node has kept, the others have after their next `look`.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from elsewhere.agreement.document import open_agreement
from elsewhere.agreement.terms import Agreement
from elsewhere.canonical import parse_canonical
from elsewhere.errors import ElsewhereError, NotActive, NotAdmitted
from elsewhere.keyfiles import replace_file
from elsewhere.locks import hold_lock
from elsewhere.roster import Federation, Member, Roster, check_successor, open_roster
from elsewhere.statement import KeyStatement, check_newer_statement, open_statement
from node.errors import AgreementRollback
from node.keys.stamps import NO_FILE, Stamp, stamp

_NOT_ADMITTED = "expected an admission; run 'elsewhere node accept ADMISSION' first"
_ANCHOR, _ROSTER, _AGREEMENT = "federation.json", "roster.json", "agreement.json"
_STATEMENTS = "statements"
_LOCK = "writing.lock"
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Trust:
    """The verified view of one node. All reads are of the newest document held."""

    me: str
    folder: Path
    anchor: Federation
    roster: Roster
    agreement: Agreement | None = None
    statements: dict[str, KeyStatement] = field(default_factory=dict)
    _envelopes: dict[str, bytes] = field(default_factory=dict, repr=False)  # as held, by file
    _unkept: set[str] = field(default_factory=set, repr=False)  # files still to be written
    _seen: dict[str, Stamp] = field(default_factory=dict, repr=False)  # of files, when they were last read
    # Two gateways may show something at once.
    _taking: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _keeping: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def load(cls, directory: Path, me: str) -> Trust:
        """Read what an earlier run verified, and verify it again.

        Raises:
            NotAdmitted: no admission has been accepted yet.
            SignatureInvalid, DocumentInvalid: a file was changed since; accept the admission again.
        """
        folder = directory / "trust"
        try:
            anchor = read_anchor(directory)
            kept = (folder / _ROSTER).read_bytes()
            roster = open_roster(kept, anchor.public)
        except FileNotFoundError:
            raise NotAdmitted(_NOT_ADMITTED) from None
        trust = cls(me=me, folder=folder, anchor=anchor, roster=roster)
        trust._envelopes[_ROSTER] = kept
        if (folder / _AGREEMENT).exists():
            trust.take_agreement((folder / _AGREEMENT).read_bytes())
        for path in sorted((folder / _STATEMENTS).glob("*.json")):
            # A member suspended since keeps no node from starting; its statement is simply not in force.
            with contextlib.suppress(NotActive):
                trust.take_statement(path.read_bytes())
        trust._unkept.clear()  # all of it came from there
        return trust

    def take_roster(self, envelope: bytes) -> bool:
        """Take a roster if it is newer; True if it changed anything. Raises as `check_successor`."""
        if self._is_held(_ROSTER, envelope):
            return False
        new = open_roster(envelope, self.anchor.public)
        check_successor(self.roster, new)
        if new.version == self.roster.version:
            return False
        self.roster = new
        self._hold(_ROSTER, envelope)
        return True

    def take_agreement(self, envelope: bytes) -> bool:
        """Take an agreement if it is newer; True if it changed anything.

        Raises:
            AgreementRollback: an older version, or another agreement of the same version.
            SignatureInvalid, DocumentInvalid: not one that binds this federation.
        """
        if self._is_held(_AGREEMENT, envelope):
            return False
        new = open_agreement(envelope, [self.anchor.public])
        held = self.agreement
        if held is not None:
            if new.version < held.version or (new.version == held.version and new.digest != held.digest):
                raise AgreementRollback(
                    f"expected an agreement above version {held.version}, got {new.version}"
                )
            if new.version == held.version:
                return False
        self.agreement = new
        self._hold(_AGREEMENT, envelope)
        return True

    def take_statement(self, envelope: bytes) -> bool:
        """Take a member's key statement if it is newer; True if it changed anything.

        Raises:
            StatementRollback, SignatureInvalid, NotActive, DocumentInvalid: keep the one held.
        """
        if envelope in self._envelopes.values():
            return False
        new = open_statement(envelope, self.roster)
        held = self.statements.get(new.agency)
        if held is not None:
            check_newer_statement(held, new)
            if held.version == new.version:
                return False
        # In the place of the old one, which other threads may be reading.
        self.statements = {**self.statements, new.agency: new}
        self._hold(f"{_STATEMENTS}/{new.agency}.json", envelope)
        return True

    def take_directory(self, roster: bytes, agreement: bytes, statements: Sequence[bytes]) -> list[str]:
        """Take whatever of a gateway's directory holds up; what is held already costs nothing.

        Returns:
            The codes of what was refused, in order; empty when all was well. The rest was taken, and is in
            force; `keep` writes it down.
        """
        refused: list[str] = []
        steps = [(self.take_roster, roster)] if roster else []
        steps += [(self.take_agreement, agreement)] if agreement else []
        steps += [(self.take_statement, statement) for statement in statements]
        with self._taking:
            for take, envelope in steps:
                try:
                    take(envelope)
                except ElsewhereError as err:
                    refused.append(err.code)
        return refused

    def newer_than(self, roster: bytes, agreement: bytes) -> tuple[bytes, bytes]:
        """What a gateway lacks that showed these, after they were taken; empty for what it has.

        What is held is never older than what was shown, so where the two differ the gateway is behind.
        """
        with self._taking:
            held = self._envelopes[_ROSTER], self._envelopes.get(_AGREEMENT, b"")
        return held[0] if held[0] != roster else b"", held[1] if held[1] != agreement else b""

    def look(self) -> None:
        """Take the roster and agreement that another process of this node has kept, where they are newer.

        Cheap if there is nothing new, so that it can come before every question. Blocks; any thread.
        """
        for name in (_ROSTER, _AGREEMENT):
            try:
                found = stamp(self.folder / name)
                if found == self._seen.get(name, NO_FILE):
                    continue
                with self._taking:
                    self._take_kept(name)
            except OSError as err:
                _log.error("trust.unreadable", code=errno.errorcode.get(err.errno or 0, "os"))
                continue
            except ElsewhereError as err:
                # An older one that was put there takes nothing from what is held.
                _log.error("trust.refused", code=err.code, remedy="put back what was in the folder trust/")
            self._seen[name] = found

    def keep(self) -> None:
        """Write down what was taken. Where the disk takes nothing it stays in memory, for the next call."""
        with self._keeping:
            with self._taking:
                unkept = sorted(self._unkept)
            if unkept:
                with hold_lock(self.folder / _LOCK):  # for the other processes of this node
                    self._write(unkept)

    def _write(self, names: Sequence[str]) -> None:
        """Write down each, unless the disk takes nothing more or something newer is there."""
        for name in names:
            with self._taking:
                with contextlib.suppress(ElsewhereError):
                    self._take_kept(name)
                if name not in self._unkept:
                    continue
            envelope, path = self._envelopes[name], self.folder / name
            try:
                path.parent.mkdir(mode=0o700, exist_ok=True)
                replace_file(path, envelope)
            except OSError as err:
                code = errno.errorcode.get(err.errno or 0, "os")
                _log.error("trust.not_kept", code=code, remedy="make room for the node's folder")
                return
            with self._taking:
                if self._envelopes[name] == envelope:
                    self._unkept.discard(name)

    def _take_kept(self, name: str) -> None:
        """Take what another process of this node has kept meanwhile, if it is newer: it is not undone."""
        takes = {_ROSTER: self.take_roster, _AGREEMENT: self.take_agreement}
        with contextlib.suppress(FileNotFoundError):
            envelope = (self.folder / name).read_bytes()
            takes.get(name, self.take_statement)(envelope)
            if self._is_held(name, envelope):
                self._unkept.discard(name)

    def _is_held(self, name: str, envelope: bytes) -> bool:
        """Whether these very bytes were verified before."""
        return self._envelopes.get(name) == envelope

    def _hold(self, name: str, envelope: bytes) -> None:
        """Remember a verified document, to be written down."""
        self._envelopes[name] = envelope
        self._unkept.add(name)

    def member(self, agency: str, now: datetime) -> Member:
        """The active member of this id.

        Raises:
            RosterExpired: nobody can be trusted on this roster any more.
            NotActive: not in the roster, suspended or revoked.
        """
        self.roster.check_current(now)
        return self.roster.active(agency)

    def others(self, now: datetime) -> tuple[Member, ...]:
        """All other active members, in the roster's order."""
        self.roster.check_current(now)
        return tuple(member for member in self.roster.active_members() if member.agency_id != self.me)

    def self_member(self, now: datetime) -> Member:
        """This node's own entry; raises NotActive once the federation has suspended or revoked it."""
        return self.member(self.me, now)

    def is_active(self, agency: str) -> bool:
        """Whether an agency is an active member, whatever the clock says."""
        try:
            self.roster.active(agency)
        except NotActive:
            return False
        return True


def read_anchor(directory: Path) -> Federation:
    """Read which federation a node has joined; raises NotAdmitted, or DocumentInvalid for a changed file."""
    try:
        return Federation.from_json(parse_canonical((directory / "trust" / _ANCHOR).read_bytes()))
    except FileNotFoundError:
        raise NotAdmitted(_NOT_ADMITTED) from None
