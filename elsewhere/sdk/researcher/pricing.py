"""What a study costs, how exact it is, and what is left: worked out here, and stated by every agency.

Sees:     terms, noised totals, signed statements.
Refuses:  a statement of a budget that its agency has not signed, or that answers another request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from elsewhere.agreement.terms import Agreement
from elsewhere.canonical import parse_canonical
from elsewhere.errors import SignatureInvalid
from elsewhere.fields import Fields
from elsewhere.research.budget import STATEMENT_TYPE, BudgetStatement, open_budget
from elsewhere.research.cost import charge_of, check_charge
from elsewhere.research.dictionary import Table
from elsewhere.research.errors import ProjectRefused, QuestionInvalid
from elsewhere.research.estimate import Z, estimates
from elsewhere.research.query import MICRO, Asking, Query, make_query, terms_of
from elsewhere.research.question import Question
from elsewhere.roster import Roster
from elsewhere.sdk.researcher.ends import NANO, Opened, Participant, Price
from elsewhere.sdk.researcher.kept import Sum
from elsewhere.securesum.accounting import LEAST_NRHO, total_scale
from elsewhere.securesum.noise import epsilon, share_scale
from elsewhere.securesum.terms import enough_operators
from elsewhere.signing import unverified_payload

SPENT: Final = "refused.budget"  # the code with which a node refuses what goes beyond a cap


@dataclass(frozen=True, slots=True)
class TableOffer:
    """One table of the dictionary, and who has it."""

    table: Table
    holders: tuple[str, ...]  # as the agreement says; empty: nobody
    min_holders: int  # how many operators of them must take part; 1: a total may be one agency's own number
    lacking: tuple[str, ...]  # participants of the project that do not hold it
    is_open: bool  # whether the project may ask it, and so many hold it


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left, at every agency that could be asked."""

    left: tuple[BudgetStatement, ...]
    missing: tuple[Participant, ...]

    def short_of(self, nrho: int, *, accept_missing: bool) -> tuple[Participant, ...]:
        """Who would refuse a study of this cost, where that ends it; none where it goes on without them."""
        short = tuple(Participant(one.agency, "refused", SPENT) for one in self.left if one.least < nrho)
        return () if accept_missing and len(short) < len(self.left) else short

    @property
    def least_nrho(self) -> int:
        """What the next study may cost at most; 0 if nobody could be asked."""
        return min((one.least for one in self.left), default=0)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a study would cost and how exact it would be. Asking this cost nothing."""

    question: Question
    price: Price
    budget: Budget
    agencies: tuple[str, ...]  # who would be asked
    attending: tuple[str, ...]  # of them, whose nodes are there now

    @property
    def is_affordable(self) -> bool:
        """Whether every agency that was asked has so much left."""
        return self.price.charge_nrho <= self.budget.least_nrho

    @property
    def left_after_nrho(self) -> int:
        """What would be left of the tightest budget."""
        return self.budget.least_nrho - self.price.charge_nrho


@dataclass(frozen=True, slots=True)
class Terms:
    """How exactly a study is asked: within so much of the truth, or for so much of the budget."""

    accuracy: float | None = None
    rho: float | None = None
    accept_missing: bool = False

    def __post_init__(self) -> None:
        wished = [one for one in (self.accuracy, self.rho) if one is not None]
        if len(wished) != 1 or not 0 < wished[0] < 1e9:
            raise ValueError("expected accuracy or rho, not both, and above 0")


def priced(
    question: Question, asking: Asking, agreement: Agreement, roster: Roster, terms: Terms
) -> tuple[Query, Price]:
    """A query with the noise that was wished for, and what it costs if all participants take part.

    Raises:
        AgreementRefused, ProjectRefused, TableRefused: it may not be asked.
        TooFewTakePart, TooFewHold: fewer than must take part are members, or hold the table.
        QuestionInvalid: so exact an answer cannot be had.
        ChargeTooSmall: `terms.rho` is below the least; an accuracy that would cost less is given better.
    """
    bare = make_query(question, asking, agreement, roster)
    enough_operators(terms_of(bare, b"", agreement, roster), bare.participants, roster)
    operators = len({roster.active(one).operator for one in bare.participants})
    honest = max(1, operators - bare.colluding)
    most = _sigma_of(bare, LEAST_NRHO)  # so much noise costs the least that there is
    if terms.accuracy is not None:
        # What colluding agencies add comes on top, so the whole is a little noisier than the query states.
        sigma = terms.accuracy / Z * math.sqrt(honest / len(bare.participants))
    else:
        nrho = round((terms.rho or 0) * NANO)
        check_charge(nrho)
        sigma = _sigma_of(bare, nrho)
    # Below this a share's own floor sets the noise: the answer would cost more and be no more exact.
    least = math.sqrt(bare.sensitivity_squared * NANO / (2 * bare.floor_nrho) * honest)
    query = replace(bare, sigma_micro=math.ceil(min(max(sigma, least), most) * MICRO))
    price = price_of(query, operators, len(query.participants))
    if terms.accuracy is not None and sigma < least:
        # Not given for more: it would be charged the most there is, and be something else than was asked.
        possible = math.ceil(10 * price.interval) / 10
        raise QuestionInvalid(
            "accuracy",
            f"expected at least {possible:g}, which costs rho {price.charge_nrho / NANO:.4f}: the project "
            f"lets no agency add less noise; wanted {terms.accuracy:g}. Ask for that, or name rho",
        )
    return query, price


def _sigma_of(query: Query, nrho: int) -> float:
    """The noise with which a query is charged so much at most, and one or two nano-rho less at least."""
    spare = (nrho - 1) / NANO  # the charge is rounded up, and has one more
    return math.sqrt(query.sensitivity_squared * query.most_agencies * query.holders / (2 * spare))


def price_of(query: Query, operators: int, agencies: int) -> Price:
    """What a query costs, and how exact it is if so many take part."""
    scale = share_scale(
        sigma=query.sigma,
        sensitivity_squared=query.sensitivity_squared,
        operators=operators,
        colluding=query.colluding,
        floor_nrho=query.floor_nrho,
    )
    charge = charge_of(query)
    interval = Z * total_scale([scale] * agencies)
    return Price(query.sigma, interval, charge, epsilon(charge / NANO), _alone(query, scale))


def _alone(query: Query, scale: float) -> float:
    """What an agency's share costs a child there if all others pool theirs: docs/privacy-proof.md."""
    return query.sensitivity_squared / (2 * scale**2)


def opened(found: Sum, participants: Sequence[Participant], path: Path) -> Opened:
    """Make the result of what was added."""
    research = found.agreement.research
    project = research.project(found.query.project) if research is not None else None
    held = research.table(found.query.question.table) if research is not None else None
    if project is None or held is None:
        raise ProjectRefused("expected a project of the agreement, and its table")
    charge = charge_of(found.query)
    return Opened(
        query_id=found.qid.hex(),
        question=found.query.question,
        cells=estimates(found.query.question, found.totals, found.scale, project.display),
        price=Price(
            found.query.sigma,
            Z * found.scale,
            charge,
            epsilon(charge / NANO),
            _alone(found.query, found.scale / math.sqrt(len(found.agencies))),
        ),
        budget_left_nrho=found.left_nrho,
        participants=tuple(participants) or tuple(Participant(one, "shared") for one in found.agencies),
        agencies=found.agencies,
        holders=tuple(one for one in held.holders if one in found.agencies),
        holders_away=tuple(one for one in held.holders if one not in found.agencies),
        path=path,
    )


def read_budget(envelope: bytes, qid: bytes, roster: Roster) -> BudgetStatement:
    """Read what an active member states of a budget.

    Raises:
        SignatureInvalid: it has not signed it, or it answers another request.
    """
    payload = Fields(parse_canonical(unverified_payload(envelope, STATEMENT_TYPE)))
    found = open_budget(envelope, roster.active(payload.text("agency")).signing_key)
    if found.qid != qid:
        raise SignatureInvalid("expected a statement for this very request; it is for another")
    return found
