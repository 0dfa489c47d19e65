"""What stands between another agency's question and this agency's data: freshness, replay, agreement, limits.

Sees:     the signed question, in which the child is blinded. Never a record.
Refuses:  in a fixed order, each with its own code; every refusal has the shape of a permitted answer.
Source:   docs/protocol.md, "What a custodian checks".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, ScalarSelect, bindparam, func, select

from elsewhere.agreement.asked import decide_asked
from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.outcome import Deny, Outcome, QuestionFacts, Review
from elsewhere.agreement.terms import Agreement, Limits
from elsewhere.clock import from_ms, to_ms
from elsewhere.database.ready import Ready
from elsewhere.errors import MalformedElement
from elsewhere.lookup import PROTOCOL_VERSION, RESERVE, SLOTS, Decision, EvaluateRequest, Ruling
from elsewhere.matchkeys import version as match_key_version
from elsewhere.oprf.group import check_batch
from elsewhere.roster import Roster
from node.answering.readiness import Expected, find_unready
from node.answering.repeats import is_asked_again
from node.answering.reviewing import find_standing
from node.caseload.shields import INVOLVEMENT, PROTECTED, SHIELDED
from node.catalogues.times import within
from node.config import NodeConfig
from node.errors import ClockSkewed
from node.keys.identity import OwnStatement
from node.keys.live import KeyView
from node.membership.trust import Trust
from node.store.exchange import COUNTED, question

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
_REFUSED = "A person at the answering agency looked at this question and said no. Call its duty desk."
LEAST_A_DAY = 1_000  # however small the agreed limits are: a bad day must not shut an honest agency out


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one question: the words that travel, and what they permit here."""

    ruling: Ruling
    tier: str = ""  # of a PERMIT: the most that may be released
    obligations: tuple[str, ...] = ()
    is_released: bool = False  # a person here let it through; the agreement alone would not

    @property
    def permits(self) -> bool:
        """Whether the elements may be evaluated under the real key."""
        return self.ruling.decision is Decision.PERMIT


@dataclass(frozen=True, slots=True)
class Guard:
    """The checks of one node. Pure but for what it reads of the store: counts, and if it can answer."""

    trust: Trust
    policy: LocalPolicy
    clock_tolerance: timedelta
    expected: Expected
    others_in_all: int = (
        4  # times what the agreement allows one agency in a day: new questions that are taken
    )

    @property
    def most_a_day(self) -> int:
        """How many new questions of one agency are taken in a day, refused ones included."""
        agreement = self.trust.agreement
        limits = agreement.limits if agreement is not None else Limits()
        return max(LEAST_A_DAY, self.others_in_all * (limits.per_agency_per_day + limits.red_reserve))

    def judge(
        self, request: EvaluateRequest, now: datetime, connection: Connection, view: KeyView
    ) -> Verdict:
        """Decide about an authentic question, before any data is touched.

        Args:
            request: signed by the searcher it names, addressed to this node.
            now: aware UTC time.
            connection: to count this searcher's earlier questions, and to see whether any can be answered.
            view: this node's live keys, and which statements of them may be named.
        """
        # Everything is looked at whatever comes of it, so that a refusal takes the steps of a permission.
        roster, agreement = self.trust.roster, self.trust.agreement  # one view, whatever arrives meanwhile
        unfit = _find_bad_element(request)
        decided = self._decide(request, roster, agreement, now)
        is_repeat = is_asked_again(connection, request, now)
        standing = find_standing(connection, request, now)
        limited, is_reserve = self.weigh(request, now, connection, own=int(is_repeat))
        skewed, differing = self._find_skew(request, now), _find_difference(request, agreement)
        dead = self._find_dead(request, view.own, now)
        key = view.digest(request.collection, request.epoch)
        unready = find_unready(connection, request, key, self.expected, now)
        refused = skewed or _find_incompatible(request) or dead or unready or differing or unfit
        if refused is not None:
            return Verdict(refused)
        if isinstance(decided, Deny):
            return Verdict(Ruling(Decision.DENY, decided.code, decided.clause, decided.remedy))
        if limited is not None and not is_repeat and not standing.is_waited_for(now):
            return Verdict(limited)
        if isinstance(decided, Review) and standing.lets_through(request):
            ruling = Ruling(Decision.PERMIT, clause=decided.clause)
            return Verdict(ruling, decided.tier.name, decided.obligations, is_released=True)
        if isinstance(decided, Review) and standing.refuses:
            return Verdict(Ruling(Decision.DENY, "review.refused", decided.clause, _REFUSED))
        if isinstance(decided, Review):
            words = ("agreement.review", decided.clause, decided.remedy)
            return Verdict(Ruling(Decision.REVIEW, *words, expected_by_ms=to_ms(decided.expected_by)))
        code = RESERVE if is_reserve else ""
        ruling = Ruling(Decision.PERMIT, code, clause=decided.clause)
        return Verdict(ruling, decided.tier.name, decided.obligations)

    def max_age_days(self, collection: str) -> int:
        """How old a source may be before answers say so, as agreed; 0 without an agreement."""
        agreement = self.trust.agreement
        asked = (INVOLVEMENT, SHIELDED) if collection == PROTECTED else (collection,)
        terms = [agreement.collection(name) for name in asked] if agreement is not None else []
        return min((found.max_age_days for found in terms if found is not None), default=0)

    def find_limit(self, request: EvaluateRequest, now: datetime, connection: Connection) -> Ruling | None:
        """Say which limit a further question would break; None when it fits.

        Called once cheaply before the work and once, decisively, inside the transaction that counts it.
        """
        return self.weigh(request, now, connection)[0]

    def weigh(
        self, request: EvaluateRequest, now: datetime, connection: Connection, *, own: int = 0
    ) -> tuple[Ruling | None, bool]:
        """Say which limit a further question would break, and whether it draws on the reserve for RED.

        Args:
            request, now, connection: as for `judge`.
            own: 1 where this question is counted already, having been asked before.
        """
        agreement = self.trust.agreement
        limits = agreement.limits if agreement is not None else Limits()
        # An agency cannot widen its limits by asking through several nodes or with several keys: it is
        # counted by its id in the roster, and a person by the pseudonym that is stable here.
        asked = {"searcher": request.searcher, "pseudonym": request.terms.pseudonym}
        since = {"day": to_ms(now - DAY), "minute": to_ms(now - MINUTE)}
        day_agency, day_person, minute_person = _COUNTS.row(connection, {**asked, **since})
        reserve = limits.red_reserve if request.terms.urgency == "RED" else 0
        per_agency, per_person = limits.per_agency_per_day, limits.per_person_per_day
        is_beyond = day_agency - own >= per_agency or day_person - own >= per_person
        limited = None
        if day_agency >= per_agency + reserve:
            limited = _limited("limits.agency_day", f"{per_agency} questions a day to one agency")
        elif day_person >= per_person + reserve:
            limited = _limited("limits.person_day", f"{per_person} questions a day to one person")
        elif minute_person >= limits.burst:
            limited = _limited("limits.burst", f"{limits.burst} questions a minute to one person")
        return limited, is_beyond and reserve > 0

    def _find_skew(self, request: EvaluateRequest, now: datetime) -> Ruling | None:
        skew = abs(now - from_ms(request.issued_ms))
        if skew > self.clock_tolerance:
            allowed = int(self.clock_tolerance.total_seconds())
            return Ruling(
                Decision.ERROR,
                ClockSkewed.code,
                remedy=f"the clocks of the two nodes differ by more than {allowed} s; set both by NTP",
            )
        return None

    def _find_dead(self, request: EvaluateRequest, own: OwnStatement, now: datetime) -> Ruling | None:
        """The keys named must be stated here and in force by either clock."""
        if request.documents.statement_digest not in own.accepted:
            return Ruling(
                Decision.ERROR,
                "statement.unknown",
                remedy="a key statement of another version is held; ask again",
            )
        key = own.statement.oprf_key(request.collection, request.epoch)
        early, late = now + self.clock_tolerance, now - self.clock_tolerance
        if key is None or early < key.valid_from_utc or late >= key.valid_until_utc:
            return Ruling(
                Decision.INCOMPATIBLE,
                "version.epoch",
                remedy="the key asked under is not in force there, or not any more; ask again in a minute",
            )
        return None

    def _decide(
        self, request: EvaluateRequest, roster: Roster, agreement: Agreement | None, now: datetime
    ) -> Outcome:
        """Decide on what the envelope says, with both sectors as the roster has them."""
        searcher, custodian = roster.member(request.searcher), roster.member(self.trust.me)
        facts = QuestionFacts(
            searcher=request.searcher,
            searcher_sector=searcher.sector if searcher else "",
            custodian=request.custodian,
            custodian_sector=custodian.sector if custodian else "",
            collection=request.collection,
            purpose=request.terms.purpose,
            basis=request.terms.basis,
            urgency=request.terms.urgency,
            role=request.terms.role,
        )
        return decide_asked(facts, agreement, self.policy, now)


def _find_incompatible(request: EvaluateRequest) -> Ruling | None:
    """Both nodes must speak the same versions."""
    if request.protocol_version != PROTOCOL_VERSION:
        return _incompatible("version.protocol", f"protocol {PROTOCOL_VERSION} is spoken here")
    if request.match_key_version != match_key_version():
        return _incompatible("version.match_keys", f"match keys {match_key_version()} are used here")
    return None


def _find_difference(request: EvaluateRequest, agreement: Agreement | None) -> Ruling | None:
    """Both nodes must hold the same agreement, or neither could be held to it."""
    if agreement is not None and request.documents.agreement_digest != agreement.digest:
        return Ruling(
            Decision.ERROR, "agreement.differs", remedy="the two nodes hold different agreements; ask again"
        )
    return None


def _find_bad_element(request: EvaluateRequest) -> Ruling | None:
    try:
        check_batch(request.elements, size=SLOTS)
    except MalformedElement:
        return Ruling(
            Decision.ERROR, MalformedElement.code, remedy="the asking node sent elements that are not valid"
        )
    return None


def _count(whose: ColumnElement[bool], since: str) -> ScalarSelect[int]:
    """Questions counted since a moment: a read of that range of a partial index, whatever else was asked."""
    newer = question.c.received_ms > bindparam(since)
    return select(func.count()).select_from(question).where(whose, COUNTED, newer).scalar_subquery()


_OF_AGENCY = question.c.searcher == bindparam("searcher")
_OF_PERSON = _OF_AGENCY & (question.c.pseudonym == bindparam("pseudonym"))
_COUNTS = Ready(select(_count(_OF_AGENCY, "day"), _count(_OF_PERSON, "day"), _count(_OF_PERSON, "minute")))


def _limited(code: str, what: str) -> Ruling:
    return Ruling(
        Decision.RATE_LIMITED,
        code,
        clause=f"limits: {what}",
        remedy="ask the duty desk by phone, or try later",
    )


def _incompatible(code: str, what: str) -> Ruling:
    return Ruling(Decision.INCOMPATIBLE, code, remedy=f"{what}; one of the two nodes must be updated")


def make_guard(config: NodeConfig, trust: Trust) -> Guard:
    """Make the checks of one node from what its operator set."""
    return Guard(
        trust=trust,
        policy=config.local_policy(),
        clock_tolerance=timedelta(seconds=config.lookup.clock_tolerance_s),
        expected=Expected(within(config.catalogue.tick_s), config.lookup.asks_only),
        others_in_all=config.lookup.others_in_all,
    )
