"""Ask noisy totals over agencies: `Research(folder).table("referral", year=2025).group_by("need").count()`.

Holds:    the researcher's signing key while a query is signed.
Promises: every signature is checked and every share added here again; the gateway is believed in nothing.
          Previews cost nothing. What a study cost, and what is left, is in its result.
Refuses:  what the dictionary does not offer, or the agreement does not allow this researcher, before anybody
          is asked.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from elsewhere.agreement.studies import Project
from elsewhere.agreement.terms import Agreement
from elsewhere.clock import Clock
from elsewhere.errors import GatewayUnreachable
from elsewhere.research.budget import REQUEST_TYPE, BudgetRequest, sign_budget_request
from elsewhere.research.builder import Draft
from elsewhere.research.cost import charge_of
from elsewhere.research.dictionary import dictionary
from elsewhere.research.errors import AgreementRefused, ProjectRefused, QueryExpired, ResearcherRefused
from elsewhere.research.query import MICRO, NONCE_BYTES, Asking, Query, open_query, query_id, sign_query
from elsewhere.research.question import Question
from elsewhere.sdk.researcher import running
from elsewhere.sdk.researcher.asking import Asked, Study
from elsewhere.sdk.researcher.calls import CALL_S, GatewayRefused, Gateways
from elsewhere.sdk.researcher.ends import End, Failed, Opened, Participant, Price, Refused
from elsewhere.sdk.researcher.enrolling import connect
from elsewhere.sdk.researcher.folder import read_about, read_signing_key
from elsewhere.sdk.researcher.kept import Kept, add
from elsewhere.sdk.researcher.pricing import (
    SPENT,
    Budget,
    Preview,
    TableOffer,
    Terms,
    opened,
    priced,
    read_budget,
)
from elsewhere.sdk.researcher.sent import Sent, forget_sent, keep_sent, read_sent
from elsewhere.sdk.researcher.trust import keep_documents, read_documents
from elsewhere.signing import SigningKey, unverified_payload
from elsewhere.wire.v1 import research_pb2, research_pb2_grpc

LIFE: Final = timedelta(minutes=30)  # of a query


def utc_now() -> datetime:
    """The time as this machine has it."""
    return datetime.now(UTC)


class Research:
    """One researcher, one project.

    Example:
        >>> research = Research("elsewhere-research", project="early-help")
        >>> study = research.table("referral", year=2025).where(age_band=["1-4"]).group_by("need").count()
        >>> print(study.preview(accuracy=10).price.rho)
        >>> result = study.run(accuracy=10)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        project: str = "",
        passphrase: str = "",
        clock: Clock = utc_now,
    ) -> None:
        """Read the folder; nothing is asked yet.

        Args:
            folder: as `elsewhere research init` made it.
            project: its id in the agreement; may be left out where there is one only.
            passphrase: of the signing key, where it has one.
            clock: aware UTC time.

        Raises:
            NotEnrolled: nobody's folder.
        """
        self._folder, self._wanted, self._passphrase, self._clock = Path(folder), project, passphrase, clock
        self.about = read_about(self._folder)
        self._documents = read_documents(self._folder)

    @property
    def agreement(self) -> Agreement:
        """The agreement held; raises AgreementRefused if there is none."""
        if self._documents.agreement is None:
            raise AgreementRefused("expected an agreement; none is held, ask with 'refresh'")
        return self._documents.agreement

    @property
    def project(self) -> Project:
        """The project that is asked for.

        Raises:
            AgreementRefused: no research is agreed.
            ResearcherRefused: the agreement lists no project of this researcher.
            ProjectRefused: not the one named, or none was and there are several.
        """
        part = self.agreement.research
        if part is None:
            raise AgreementRefused("expected an agreement with research in it; this one has none")
        person = part.researcher(self.about.researcher)
        mine = [one for one in part.projects if self.about.researcher in one.people]
        if person is None or person.key != self.about.key or not mine:
            raise ResearcherRefused(
                f"expected {self.about.researcher} with this folder's key in a project of the agreement; "
                "its stewards have not listed it"
            )
        named = [one for one in mine if self._wanted in ("", one.id)]
        if len(named) != 1:
            ids = ", ".join(one.id for one in mine)
            raise ProjectRefused(f"expected one of this researcher's projects: {ids}")
        return named[0]

    def refresh(self) -> tuple[str, ...]:
        """Take what is newer of the federation's documents; gives the agencies whose nodes are there now.

        Raises:
            GatewayUnreachable: no gateway answers.
            GatewayRefused: it does not take this certificate.
            RosterRollback, AgreementRollback, SignatureInvalid ...: what it shows does not hold; what was
                held stays.
        """
        shown = self._gateways().call(
            lambda channel: research_pb2_grpc.ResearchServiceStub(channel).Describe(
                research_pb2.DescribeRequest(), timeout=CALL_S
            )
        )
        newer = self._documents.follow(shown.roster, list(shown.stewards_rosters), shown.agreement)
        if newer != self._documents:
            keep_documents(self._folder, newer)
            self._documents = newer
        return tuple(shown.attending)

    def tables(self) -> tuple[TableOffer, ...]:
        """Every table of the dictionary, who holds it, and who of the project's participants lacks it.

        Raises as `refresh` and `project`.
        """
        self.refresh()
        project, part, roster = self.project, self.agreement.research, self._documents.roster
        members = {one.agency_id for one in roster.active_members()}
        parties = project.participants or tuple(party.agency_id for party in self.agreement.parties)
        found = []
        for table in dictionary().tables.values():
            held = part.table(table.id) if part is not None else None
            holders = held.holders if held is not None else ()
            least = part.holders_needed(held, roster) if part and held else 0
            lacking = tuple(sorted((set(parties) & members) - set(holders)))
            there = {roster.active(one).operator for one in {*holders} & {*parties} & members}
            is_open = 0 < least <= len(there) and table.id in project.tables
            found.append(TableOffer(table, holders, least, lacking, is_open))
        return tuple(found)

    def table(self, table: str, *, year: int) -> Asked:
        """Begin a question; raises QuestionInvalid for a table that the dictionary does not have."""
        return Asked(self, Draft(table, year))

    def ask(self, question: Question) -> Study:
        """Take a question that is already made."""
        return Study(self, question)

    def budget(self) -> Budget:
        """Ask every participant what is left. Costs nothing; raises as `refresh`."""
        self.refresh()
        asked = BudgetRequest(
            self.project.id, self.about.researcher, secrets.token_bytes(NONCE_BYTES), self._expires()
        )
        envelope = sign_budget_request(self._key(), asked)
        answer = self._gateways().call(
            lambda channel: research_pb2_grpc.ResearchServiceStub(channel).Budget(
                research_pb2.BudgetRequest(request=envelope), timeout=4 * CALL_S
            )
        )
        qid = hashlib.sha256(unverified_payload(envelope, REQUEST_TYPE)).digest()
        left = [read_budget(one, qid, self._documents.roster) for one in answer.budgets]
        missing = tuple(running.participant(one) for one in answer.missing)
        return Budget(tuple(sorted(left, key=lambda one: one.agency)), missing)

    def preview(self, question: Question, terms: Terms) -> Preview:
        """As `Study.preview`."""
        budget, attending = self.budget(), self.refresh()
        query, price = self._priced(question, terms)
        here = tuple(agency for agency in query.participants if agency in attending)
        return Preview(question, price, budget, query.participants, here)

    def run(self, question: Question, terms: Terms, tell: Callable[[Participant], None]) -> End:
        """As `Study.run`."""
        budget = self.budget()
        query, price = self._priced(question, terms)
        envelope = sign_query(self._key(), query)
        signed = running.Signed(envelope, query, query_id(envelope))
        qid = signed.qid.hex()
        if short := budget.short_of(price.charge_nrho, accept_missing=terms.accept_missing):
            return Refused(qid, SPENT, short)
        keep_sent(self._folder, signed.qid, Sent(envelope, terms.accept_missing))
        try:
            course = running.run(self._gateways(), signed, accept_missing=terms.accept_missing, tell=tell)
        except GatewayRefused as err:
            forget_sent(self._folder, signed.qid)
            return Refused(qid, err.code)
        if course.end == research_pb2.STUDY_END_NOT_STARTED:
            forget_sent(self._folder, signed.qid)
            return Refused(qid, "", course.participants)
        return self._ended(signed, course, price.charge_nrho)

    def resume(self, query_id: str = "", tell: Callable[[Participant], None] = lambda one: None) -> End:
        """Take a study up again that was sent and has not ended: the same query, at no further charge.

        Args:
            query_id: its first digits; empty: the only one there is.
            tell: called with each agency's state as it changes.

        Returns: as `Study.run`, but never Refused: what had been charged stands.

        Raises:
            NothingSent: there is none of that id, or more than one.
            QueryExpired: it has run out; it is forgotten here.
            GatewayUnreachable, and as `refresh`.
        """
        self.refresh()
        sent = read_sent(self._folder, query_id)
        query, qid = open_query(sent.envelope, self.agreement)
        if query.expires_utc <= self._clock():
            forget_sent(self._folder, qid)
            raise QueryExpired(
                "expected a study whose query has not run out; look at the budget, and ask anew"
            )
        signed, gateways = running.Signed(sent.envelope, query, qid), self._gateways()
        course = running.Course()
        # Only the gateway at which the participants were fixed has the study; others find every node taken.
        for address in gateways.addresses:
            with suppress(GatewayUnreachable, GatewayRefused):
                one = replace(gateways, addresses=(address,))
                course = running.run(one, signed, accept_missing=sent.accept_missing, tell=tell)
            if course.end == research_pb2.STUDY_END_OPENED:
                break
        if not course.end:
            raise GatewayUnreachable("expected a gateway to take the study up again; none does now")
        return self._ended(signed, course, charge_of(query))

    def _ended(self, signed: running.Signed, course: running.Course, charge_nrho: int) -> End:
        """What a study came to that may have been charged for."""
        if course.end != research_pb2.STUDY_END_OPENED:
            return Failed(signed.qid.hex(), course.participants, charge_nrho)
        kept, path = running.keep(self._folder, signed, course, self._documents)
        end = opened(add(kept, self._documents.anchor), course.participants, path)
        forget_sent(self._folder, signed.qid)
        return end

    def _priced(self, question: Question, terms: Terms) -> tuple[Query, Price]:
        nonce = secrets.token_bytes(NONCE_BYTES)
        asking = Asking(self.project.id, self.about.researcher, MICRO, nonce, self._expires())
        return priced(question, asking, self.agreement, self._documents.roster, terms)

    def _gateways(self) -> Gateways:
        return connect(self._folder, self._key(), now=self._clock())

    def _key(self) -> SigningKey:
        return read_signing_key(self._folder, self._passphrase)

    def _expires(self) -> datetime:
        return self._clock().replace(microsecond=0) + LIFE


def readd(folder: str | os.PathLike[str], file: str | os.PathLike[str]) -> Opened:
    """Add a kept study again, from its signed documents and the folder's anchor alone.

    Raises:
        ElsewhereError: it does not hold; the code says what.
    """
    kept = Kept.from_bytes(Path(file).read_bytes())
    return opened(add(kept, read_documents(Path(folder)).anchor), (), Path(file))
