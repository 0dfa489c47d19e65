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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from elsewhere.agreement.document import bound, check_newer_agreement, join_signatures, open_agreement
from elsewhere.agreement.terms import Agreement
from elsewhere.anchor import Federation
from elsewhere.canonical import parse_canonical
from elsewhere.errors import ElsewhereError, NotActive, NotAdmitted, SignatureInvalid
from elsewhere.keyfiles import replace_file
from elsewhere.locks import hold_lock
from elsewhere.roster import Member, Roster
from elsewhere.statement import KeyStatement, check_newer_statement, open_statement
from elsewhere.succession import Succession, chain_from_bytes, chain_to_bytes, open_succession, shown_chain
from node.keys.stamps import NO_FILE, Stamp, stamp
from node.membership.vouched import Vouched

_NOT_ADMITTED = "expected an admission; run 'elsewhere node accept ADMISSION' first"
_ANCHOR, _ROSTER, _AGREEMENT = "federation.json", "roster.json", "agreement.json"
_CHAIN = "chain.json"  # written before the roster it leads to
_STATEMENTS = "statements"
_LOCK = "writing.lock"
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Trust:
    """The verified view of one node. All reads are of the newest document held."""

    me: str
    folder: Path
    anchor: Federation
    succession: Succession
    agreement: Agreement | None = None
    statements: dict[str, KeyStatement] = field(default_factory=dict)
    vouched: Vouched = field(init=False)
    _envelopes: dict[str, bytes] = field(default_factory=dict, repr=False)  # as held, by file
    _unkept: set[str] = field(default_factory=set, repr=False)  # files still to be written
    _seen: dict[str, Stamp] = field(default_factory=dict, repr=False)  # of files, when they were last read
    # Two gateways may show something at once.
    _taking: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _keeping: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.vouched = Vouched(self.folder)

    @classmethod
    def load(cls, directory: Path, me: str) -> Trust:
        """Read what an earlier run verified, and verify it again.

        Raises:
            NotAdmitted: no admission has been accepted yet.
            SignatureInvalid, DocumentInvalid: a roster's file was changed; accept the admission again.
        """
        folder = directory / "trust"
        try:
            anchor = read_anchor(directory)
            succession = open_succession(anchor, *_kept_rosters(folder))
        except FileNotFoundError:
            raise NotAdmitted(_NOT_ADMITTED) from None
        trust = cls(me=me, folder=folder, anchor=anchor, succession=succession)
        trust.vouched.look(succession.roster, me)
        trust._envelopes[_ROSTER] = succession.envelope
        trust._envelopes[_CHAIN] = chain_to_bytes(succession.chain)
        if (folder / _AGREEMENT).exists():
            try:
                trust.take_agreement((folder / _AGREEMENT).read_bytes())
            except SignatureInvalid as err:
                # Its stewards were replaced since, or the file was changed: nothing is answered without it.
                _log.warning(
                    "trust.refused", code=err.code, remedy="have the agreement signed by the stewards"
                )
        for path in sorted((folder / _STATEMENTS).glob("*.json")):
            # A member suspended since, or with another key, keeps no node from starting; its statement is
            # simply not in force.
            with contextlib.suppress(NotActive, SignatureInvalid):
                trust.take_statement(path.read_bytes())
        trust._unkept.clear()  # all of it came from there
        return trust

    @property
    def roster(self) -> Roster:
        """The roster in force."""
        return self.succession.roster

    def take_roster(self, envelope: bytes, chain: Sequence[bytes] = ()) -> bool:
        """Take a roster if it is newer, after those of a chain that lead to it; True if it changed anything.

        Raises as `Succession.follow`.
        """
        if self._is_held(_ROSTER, envelope):
            return False
        new = self.succession.follow(envelope, chain)
        if new is self.succession:
            return False
        if self.agreement is not None and _AGREEMENT in self._envelopes:
            # A steward who was replaced binds nobody any more; who came in may have signed it already.
            now_bound = bound(self.agreement, self._envelopes[_AGREEMENT], new.roster)
            self.agreement = now_bound if now_bound != self.agreement else self.agreement
        self._forget_rekeyed(new.roster)
        if new.chain != self.succession.chain:
            self._hold(_CHAIN, chain_to_bytes(new.chain))
        self.succession = new
        self._hold(_ROSTER, envelope)
        return True

    def take_agreement(self, envelope: bytes) -> bool:
        """Take an agreement if it is newer, or signed by more; True if it changed anything.

        Raises:
            AgreementRollback: an older version, or another agreement of the same version.
            SignatureInvalid, DocumentInvalid: not one that binds this federation.
        """
        if self._is_held(_AGREEMENT, envelope):
            return False
        new = open_agreement(envelope, self.roster)
        held = self.agreement
        if held is not None:
            check_newer_agreement(held, new)
            if new.version == held.version:
                known = self._envelopes.get(_AGREEMENT, envelope)
                envelope = join_signatures(new, [known, envelope], self.roster)
                new = bound(new, envelope, self.roster)
                if envelope == known:
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

    def take_directory(
        self, roster: bytes, agreement: bytes, statements: Sequence[bytes], chain: Sequence[bytes] = ()
    ) -> list[str]:
        """Take whatever of a gateway's directory holds up; what is held already costs nothing.

        Returns:
            The codes of what was refused, in order; empty when all was well. The rest was taken, and is in
            force; `keep` writes it down.
        """
        refused: list[str] = []
        steps: list[tuple[Callable[[bytes], bool], bytes]] = []
        steps += [(partial(self.take_roster, chain=chain), roster)] if roster else []
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

    def chain(self) -> list[bytes]:
        """What a gateway that is handed the roster may need before: rosters that changed the stewards."""
        return shown_chain(self.succession.chain)

    def look(self) -> None:
        """Take the roster and agreement that another process of this node has kept, where they are newer.

        Cheap if there is nothing new, so that it can come before every question. Blocks; any thread.
        """
        self.vouched.look(self.roster, self.me)
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
        with contextlib.suppress(FileNotFoundError):
            if name in (_ROSTER, _CHAIN):
                chain, roster = _kept_rosters(self.folder)
                self.take_roster(roster, chain)
                envelope = roster if name == _ROSTER else chain_to_bytes(chain)
            else:
                envelope = (self.folder / name).read_bytes()
                (self.take_agreement if name == _AGREEMENT else self.take_statement)(envelope)
            if self._is_held(name, envelope):
                self._unkept.discard(name)

    def _forget_rekeyed(self, new: Roster) -> None:
        """Believe no more what was stated under a key that is replaced; whoever stole it may have stated it.

        The new key begins anew: were its statements held to the version of those before, a thief's of a
        high one would shut them out.
        """
        held = {member.agency_id: member.signing_key for member in self.roster.members}
        changed = {m.agency_id for m in new.members if held.get(m.agency_id, m.signing_key) != m.signing_key}
        self.statements = {name: found for name, found in self.statements.items() if name not in changed}
        for agency in changed:
            self._envelopes.pop(f"{_STATEMENTS}/{agency}.json", None)
            self._unkept.discard(f"{_STATEMENTS}/{agency}.json")

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
            RosterExpired, RosterStale: nobody can be trusted on this roster any more.
            NotActive: not in the roster, suspended or revoked.
        """
        self._check_current(now)
        return self.roster.active(agency)

    def others(self, now: datetime) -> tuple[Member, ...]:
        """All other active members, in the roster's order."""
        self._check_current(now)
        return tuple(member for member in self.roster.active_members() if member.agency_id != self.me)

    def self_member(self, now: datetime) -> Member:
        """This node's own entry; raises NotActive once the federation has suspended or revoked it."""
        return self.member(self.me, now)

    def _check_current(self, now: datetime) -> None:
        self.roster.check_current(now)
        self.vouched.check(self.roster, now)

    def own_key(self) -> bytes:
        """The signing key that the roster lists for this agency; empty if it lists none."""
        member = self.roster.member(self.me)
        return member.signing_key if member is not None else b""

    def is_active(self, agency: str) -> bool:
        """Whether an agency is an active member, whatever the clock says."""
        try:
            self.roster.active(agency)
        except NotActive:
            return False
        return True


def _kept_rosters(folder: Path) -> tuple[tuple[bytes, ...], bytes]:
    """The chain and the roster that were kept. Another process writes the chain first: it is read last."""
    roster = (folder / _ROSTER).read_bytes()
    return chain_from_bytes((folder / _CHAIN).read_bytes()), roster


def read_anchor(directory: Path) -> Federation:
    """Read which federation a node has joined; raises NotAdmitted, or DocumentInvalid for a changed file."""
    try:
        return Federation.from_json(parse_canonical((directory / "trust" / _ANCHOR).read_bytes()))
    except FileNotFoundError:
        raise NotAdmitted(_NOT_ADMITTED) from None
