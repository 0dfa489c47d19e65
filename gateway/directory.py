"""The signed documents that every node needs: kept, watched for change, and passed on unaltered.

Holds:    roster and agreement as files that the operator replaces; each member's newest key statement;
          the newest version of each cached catalogue, told apart from them: it changes every minute, they
          hardly ever.
Sees:     public documents only.
Refuses:  a roster that does not follow the one held; a statement by anyone but its own agency, an older
          one, or too many. Nodes verify all of it again: a gateway can withhold, but not add, swap or alter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

import structlog

from elsewhere.agreement.document import open_agreement
from elsewhere.agreement.terms import Agreement
from elsewhere.errors import ElsewhereError, NotActive, SignatureInvalid
from elsewhere.pace import Pace
from elsewhere.roster import Roster
from elsewhere.statement import KeyStatement, check_newer_statement, open_statement
from elsewhere.succession import Succession, shown_chain
from elsewhere.wire.status import StatementsTaken
from elsewhere.wire.v1 import directory_pb2, link_pb2
from gateway.ends import End
from gateway.folder import AGREEMENT_FILE, ROSTER_FILE, read_document
from gateway.inforce import read_chain, read_succession
from gateway.notices import Notices
from gateway.store import CatalogueName, Store
from gateway.timing import Alarm, Timing

# Newer statements of one agency: every one goes out to all members together with everybody else's.
STATEMENTS, STATEMENT_EVERY_S = 32, 10.0

_log = structlog.get_logger("elsewhere.gateway.directory")
_Stamp = tuple[int, int, int]
Newest = dict[CatalogueName, int]


class Directory:
    """What the gateway shows to all members. All calls are made on the event loop.

    Args:
        folder: the gateway's folder, with the anchor, the roster and, once signed, the agreement.
        store: keeps statements across restarts.
        timing: alarms for looking at the files and for sending changes out together.
        push_s: changes within this time make one frame.

    Raises:
        ConfigInvalid: no anchor or roster in the folder.
        SignatureInvalid, DocumentInvalid: the roster there is not the stewards'.
    """

    def __init__(self, folder: Path, store: Store, timing: Timing, *, push_s: float) -> None:
        self._folder, self._store, self._timing, self._push_s = folder, store, timing, push_s
        self._stamps: dict[str, _Stamp | None] = {}
        self._agreement = b""  # envelope
        self.agreement: Agreement | None = None  # what it says
        self._statements: dict[str, tuple[bytes, KeyStatement]] = {}
        self._notices = Notices()
        self._pace = Pace(STATEMENTS, STATEMENT_EVERY_S)
        self._agreement_end: datetime | None = None
        self._frame: link_pb2.AttachResponse | None = None
        self._is_push_due = self._has_changed = False
        self._alarms: dict[str, Alarm] = {}
        self._push: Callable[[link_pb2.AttachResponse], None] = lambda frame: None
        self._tell: Callable[[Newest], None] = lambda newest: None
        self._drop: Callable[[frozenset[str]], None] = lambda agencies: None
        self._stamps[ROSTER_FILE] = _stamp(folder / ROSTER_FILE)
        self._succession = read_succession(folder)
        self.active: frozenset[str] = frozenset()
        self._take_roster(self._succession)
        self._reload(AGREEMENT_FILE, self._take_agreement)
        self._has_changed = False  # whoever attaches is shown all of it

    def watch(
        self,
        poll_s: float,
        *,
        push: Callable[[link_pb2.AttachResponse], None],
        tell: Callable[[Newest], None],
        drop: Callable[[frozenset[str]], None],
    ) -> None:
        """Look at the files from now on.

        Args:
            poll_s: how often.
            push: sends a changed directory to every link.
            tell: sends every link the newest versions of the catalogues that have changed.
            drop: ends the links of agencies that are members no longer.
        """
        self._push, self._tell, self._drop = push, tell, drop

        def look() -> None:
            self.refresh()
            self._alarms["look"] = self._timing.later(poll_s, look)

        self._alarms["look"] = self._timing.later(poll_s, look)

    def unwatch(self) -> None:
        """Look no more and send no more."""
        for alarm in self._alarms.values():
            alarm.cancel()

    def refresh(self) -> None:
        """Take over changed files; one that does not hold is reported and the one held stays."""
        self._reload(ROSTER_FILE, self._take_roster_file)
        self._reload(AGREEMENT_FILE, self._take_agreement)

    def check_active(self, agency: str) -> None:
        """Return only for a member that may attach now; raises NotActive."""
        if agency not in self.active:
            self.roster.active(agency)
            raise NotActive(agency, "unknown")

    @property
    def roster(self) -> Roster:
        """The roster in force."""
        return self._succession.roster

    def statement(self, agency: str) -> KeyStatement | None:
        """The newest key statement of an active member; None before there is one."""
        held = self._statements.get(agency)
        return held[1] if held is not None else None

    def publish_statement(self, agency: str, envelope: bytes) -> int:
        """Keep a member's own newer statement and show it to all.

        Args:
            agency: who is calling.
            envelope: the statement, at most 64 KiB.

        Returns:
            The statement's version. Sending the one held again changes nothing.

        Raises:
            SignatureInvalid, NotCanonical, DocumentInvalid, NotActive: not the caller's statement.
            StatementRollback: not above the one held.
            StatementsTaken: newer ones come too fast. Nothing was changed.
        """
        statement = open_statement(envelope, self.roster, signer=agency)
        if statement.agency != agency:
            raise SignatureInvalid(f"expected the caller's own statement; it is of {statement.agency}")
        held = self._statements.get(agency)
        if held is not None:
            check_newer_statement(held[1], statement)
        if held is None or statement.version > held[1].version:
            if not self._pace.take(agency, self._timing.steady_s()):
                raise StatementsTaken(f"expected at most {STATEMENTS} newer statements of {agency} at once")
            self._store.put_statement(agency, envelope)
            self._statements[agency] = (envelope, statement)
            self.changed()
        return statement.version

    def show_catalogue(self, name: CatalogueName, version: int) -> None:
        """Tell all that a version of a catalogue can be fetched, or by somebody more."""
        self._notices.put(name, version)
        self._push_soon()

    def hide_catalogues(self, names: Collection[CatalogueName]) -> None:
        """Tell nobody more of catalogues that are gone."""
        self._notices.drop(names)

    def newest(self) -> Newest:
        """Every catalogue of an active member that can be fetched, with its newest version."""
        return self._notices.all(self.active)

    def changed(self) -> None:
        """Have the directory sent to all, together with what changes in the next moment."""
        self._frame, self._has_changed = None, True
        self._push_soon()

    def frame(self) -> link_pb2.AttachResponse:
        """The whole directory as it stands."""
        if self._frame is None:
            shown = directory_pb2.Directory(
                roster=self._succession.envelope,
                agreement=self._agreement,
                stewards_rosters=shown_chain(self._succession.chain),
                statements=[self._statements[agency][0] for agency in sorted(self._statements)],
            )
            self._frame = link_pb2.AttachResponse(directory=shown)
        return self._frame

    def ends(self) -> list[End]:
        """When the documents shown run out."""
        ends = [End("roster", self.roster.valid_until_utc)]
        return ends if self._agreement_end is None else [*ends, End("agreement", self._agreement_end)]

    def _push_soon(self) -> None:
        """Gather for a moment, so that changes go out together."""
        if not self._is_push_due:
            self._is_push_due = True
            self._alarms["push"] = self._timing.later(self._push_s, self._push_now)

    def _push_now(self) -> None:
        """Send what has gathered: documents only if one of them has changed, for they are large."""
        self._is_push_due = False
        if self._has_changed:
            self._has_changed = False
            self._push(self.frame())
        newest = self._notices.take_untold(self.active)
        if newest:
            self._tell(newest)

    def _reload(self, name: str, take: Callable[[], None]) -> None:
        """Run `take` if a file is another than last time."""
        stamp = _stamp(self._folder / name)
        if stamp is None or stamp == self._stamps.get(name):
            return
        self._stamps[name] = stamp
        try:
            take()
        except ElsewhereError as err:
            _log.error("document refused; the one held stays", document=name, code=err.code)

    def _take_roster_file(self) -> None:
        """Read the roster file and put it in force; it must follow the one held."""
        envelope = read_document(self._folder / ROSTER_FILE)
        self._take_roster(self._succession.follow(envelope, read_chain(self._folder)))

    def _take_roster(self, succession: Succession) -> None:
        """Put a verified roster in force: statements are checked anew, those who left are dropped."""
        roster = succession.roster
        before, self._succession = self.active, succession
        self.active = frozenset(member.agency_id for member in roster.active_members())
        self._statements = {}
        for agency, envelope in self._store.statements().items():
            try:
                self._statements[agency] = (envelope, open_statement(envelope, roster))
            except ElsewhereError as err:
                _log.warning("statement not shown", agency=agency, code=err.code)
        _log.info("roster in force", version=roster.version, members=len(self.active))
        self._drop(before - self.active)
        self._notices.repeat(self.active - before)  # nobody was told of them while they were not members
        self.changed()

    def _take_agreement(self) -> None:
        """Put a verified agreement in the directory."""
        envelope = read_document(self._folder / AGREEMENT_FILE)
        # The roster is written first: if both were just now, its stewards are the ones who signed.
        self._reload(ROSTER_FILE, self._take_roster_file)
        agreement = self.agreement = open_agreement(envelope, self.roster)
        self._agreement, self._agreement_end = envelope, agreement.validity.valid_until
        _log.info("agreement shown", version=agreement.version)
        self.changed()


def _stamp(path: Path) -> _Stamp | None:
    """What tells one state of a file from another; None if there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
