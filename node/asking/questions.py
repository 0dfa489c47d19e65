"""From a practitioner's question to one part for each custodian.

Holds:    the person and the question's secrets, in memory.
Promises: one set of blinded elements serves all custodians of a lookup; everything else that a custodian
          sees of it - lookup id, nonce, reply key, pseudonyms - is made for that custodian alone.
Source:   docs/protocol.md, "A question".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from elsewhere.agreement.asked import INVOLVEMENT, PROTECTED, SHIELDED, collection_to_ask
from elsewhere.agreement.bases import default_basis
from elsewhere.agreement.decide import decide
from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.outcome import Deny, QuestionFacts
from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.asking import Ask, Note
from elsewhere.clock import Clock, to_ms
from elsewhere.errors import AskInvalid
from elsewhere.lookup import SLOTS, Documents, EvaluateRequest, Head, Terms
from elsewhere.matchkeys import MatchKey, Strength, question_keys
from elsewhere.matchkeys import version as match_key_version
from elsewhere.person.checks import check
from elsewhere.question import SECRET_SIZE, Question, QuestionSecrets, build_question
from elsewhere.random import RandomBytes
from elsewhere.roster import Member
from elsewhere.sealing import SealingKey
from node.asking.part import Part, Route
from node.catalogues.holding import CatalogueName
from node.keys.live import LiveKeys
from node.membership.trust import Trust


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question ready to be asked: the same elements for everybody, and what the asker is to be told."""

    question: Question = field(repr=False)
    keys: tuple[MatchKey, ...] = field(repr=False)
    notes: tuple[Note, ...]

    @property
    def names_asked(self) -> bool:
        """Whether any key is made of a name or a birth date."""
        return any(key.strength is not Strength.IDENTIFIER for key in self.keys)


@dataclass(frozen=True, slots=True)
class QuestionMaker:
    """Makes questions for one node."""

    keys: LiveKeys
    trust: Trust
    clock: Clock
    random: RandomBytes

    def new_secrets(self, ask: Ask) -> QuestionSecrets:
        """Draw salt and seed: with the person they are what opens the question to an auditor later."""
        salt, seed = self.random(SECRET_SIZE), self.random(SECRET_SIZE)
        return QuestionSecrets(ask.person.canonical(), match_key_version(), salt, seed)

    def prepare(self, ask: Ask, secrets: QuestionSecrets, now: datetime) -> Prepared:
        """Derive, hash and blind what is asked. Blocks for some milliseconds: runs on a crypto thread."""
        keys = question_keys(ask.person, slots=SLOTS)
        notes = tuple(Note(n.code, n.field, n.message) for n in check(ask.person, today=now.date()))
        if not keys:
            notes += (Note("person.no_keys", "person", "too little is known of the child to find a record"),)
        return Prepared(build_question([key.data for key in keys], secrets), keys, notes)

    def basis_of(self, ask: Ask, now: datetime) -> str:
        """The lawful basis stated: the asker's own choice, or what sector and purpose give.

        Raises:
            AskInvalid: purpose, role or basis is not in the vocabulary.
        """
        _check_words(ask)
        if ask.basis:
            return ask.basis
        agreement = self.trust.agreement
        party = agreement.party(self.trust.me) if agreement else None
        return default_basis(
            self.trust.roster.active(self.trust.me).sector,
            ask.purpose,
            now,
            public_authority=party.public_authority if party else None,
            duty_from=agreement.duty_from if agreement else None,
        )

    def collection(self, ask: Ask, custodian: Member, now: datetime) -> str:
        """The one collection to ask a custodian in.

        Where the agreement lets this question reach location-shielded children it asks the collection that
        holds everybody, else the one without them. Asking both would be two questions, and by counting them
        the gateway would learn the purpose.
        """
        return collection_to_ask(self._facts(ask, custodian, now), self.trust.agreement, now)

    def obligations(self, ask: Ask, custodian: Member, now: datetime) -> frozenset[str]:
        """What the agreement asks of this agency with a custodian's answer, in the vocabulary's words."""
        facts, agreement = self._facts(ask, custodian, now), self.trust.agreement
        asked = collection_to_ask(facts, agreement, now)
        names = (INVOLVEMENT, SHIELDED) if asked == PROTECTED else (asked,)
        found = [decide(replace(facts, collection=name), agreement, LocalPolicy(), now) for name in names]
        return frozenset(word for one in found if not isinstance(one, Deny) for word in one.obligations)

    def _facts(self, ask: Ask, custodian: Member, now: datetime) -> QuestionFacts:
        """What the agreement goes by."""
        return QuestionFacts(
            searcher=self.trust.me,
            searcher_sector=self.trust.roster.active(self.trust.me).sector,
            custodian=custodian.agency_id,
            custodian_sector=custodian.sector,
            collection=INVOLVEMENT,
            purpose=ask.purpose,
            basis=self.basis_of(ask, now),
            urgency=ask.urgency,
            role=ask.role,
        )

    def route(
        self,
        custodian: Member,
        collection: str,
        now: datetime,
        is_held: Callable[[CatalogueName], bool] = lambda name: True,
    ) -> Route | None:
        """Where and with which keys to ask a custodian; None while it states none that are in force.

        Args:
            custodian: whom to ask.
            collection: what to ask in.
            now: aware UTC time.
            is_held: whether there is a copy of a catalogue: of two epochs in force the one that can be tested
                against without waiting is asked.
        """
        statement = self.trust.statements.get(custodian.agency_id)
        if statement is None:
            return None
        sealing = statement.sealing_key(now)
        oprf = statement.epoch_to_ask(
            collection, now, lambda epoch: is_held(CatalogueName(custodian.agency_id, collection, epoch))
        )
        if sealing is None or oprf is None:
            return None
        return Route(self.trust.roster.federation, custodian, sealing.public, oprf)

    def part(self, ask: Ask, prepared: Prepared, route: Route, held: Head, lookup_id: bytes) -> Part:
        """Make one custodian's part; it is not sealed yet.

        Args:
            ask: what is asked and why.
            prepared: the question.
            route: whom to ask, with which keys.
            held: the copy of the custodian's catalogue that is at hand.
            lookup_id: 16 bytes, this custodian's own; the same again only for the same question.
        """
        now = self.clock()
        agreement, me = self.trust.agreement, self.trust.me
        custodian = route.custodian.agency_id
        reply_key, ring = SealingKey.generate(self.random), self.keys.view.ring
        request = EvaluateRequest(
            lookup_id=lookup_id,
            searcher=me,
            custodian=custodian,
            collection=route.oprf.collection,
            epoch=route.oprf.epoch,
            match_key_version=match_key_version(),
            held=held,
            terms=Terms(
                ask.purpose,
                self.basis_of(ask, now),
                ask.urgency,
                ask.role,
                pseudonym(ring.pseudonym, custodian, b"person", ask.asker),
                pseudonym(ring.pseudonym, custodian, b"case", ask.case_reference),
            ),
            commitment=prepared.question.commitment,
            documents=Documents(
                agreement.digest if agreement else bytes(32),
                self.trust.roster.version,
                self.trust.statements[custodian].digest,
            ),
            issued_ms=to_ms(now),
            nonce=self.random(16),
            reply_key=reply_key.public.to_bytes(),
            elements=prepared.question.blinded,
        )
        return Part(route, request, prepared.question, prepared.keys, ring.signing, reply_key)


def pseudonym(key: bytes, custodian: str, label: bytes, value: str) -> bytes:
    """Stand-in for a person or case that is stable at one custodian and unlinkable between two, 32 bytes."""
    own = hmac.digest(key, b"elsewhere/pseudonym/v1:" + custodian.encode(), hashlib.sha256)
    return hmac.digest(own, label + b":" + value.encode(), hashlib.sha256)


def choose(members: Sequence[Member], wanted: Sequence[str]) -> tuple[Member, ...]:
    """Whom to ask: those named, or all.

    Raises:
        AskInvalid: somebody is named who is not another active member.
    """
    if not wanted:
        return tuple(members)
    by_id = {member.agency_id: member for member in members}
    unknown = [agency for agency in dict.fromkeys(wanted) if agency not in by_id]
    if unknown:
        raise AskInvalid(
            f"custodians: expected other active members ({', '.join(by_id)}); got {len(unknown)} other"
        )
    return tuple(by_id[agency] for agency in dict.fromkeys(wanted))


def _check_words(ask: Ask) -> None:
    """Refuse a word that every custodian would: nobody is asked, and nothing is logged as denied."""
    known = vocabulary()
    about_a_child = [purpose.id for purpose in known.purposes.values() if purpose.about == "child"]
    if ask.purpose not in known.purposes:
        raise AskInvalid(f"purpose: expected one of {', '.join(about_a_child)}")
    if ask.role not in known.roles:
        raise AskInvalid(f"role: expected one of {', '.join(known.roles)}")
    if ask.basis and ask.basis not in known.bases:
        carrying = [basis.id for basis in known.bases.values() if basis.kind in ("A6", "LE")]
        raise AskInvalid(f"basis: expected one of {', '.join(carrying)}")
