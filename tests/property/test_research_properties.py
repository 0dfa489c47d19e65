"""Any question that can be made is signed, read and asked as it was; its answer has a place for every key."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from elsewhere.agreement.studies import Display
from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.fields import Fields
from elsewhere.research.dictionary import Column, Kind, dictionary
from elsewhere.research.errors import QuestionInvalid
from elsewhere.research.estimate import Estimate, estimates
from elsewhere.research.query import Asking, Query, check_terms, make_query, open_query, sign_query
from elsewhere.research.question import METRICS, Metric, Question, ask
from tests.summing import roster_of
from tests.unit.node import study_world as world

AGREEMENT = world.agreement_of(world.research())
ROSTER = roster_of(world.NAMES)


@st.composite
def metrics(draw: st.DrawFn, numbers: list[Column]) -> Metric:
    kind = draw(st.sampled_from(METRICS if numbers else ("count", "distribution")))
    if kind == "count":
        return Metric()
    if kind == "distribution":
        return Metric(kind, most=draw(st.integers(1, 20)))
    column = draw(st.sampled_from(numbers))
    if kind == "histogram":
        edges = draw(st.lists(st.integers(column.low, column.high), min_size=2, max_size=6, unique=True))
        return Metric(kind, column.id, edges=tuple(sorted(edges)))
    if kind == "quantile":
        ranks = draw(st.lists(st.integers(1, 999), min_size=1, max_size=3, unique=True))
        return Metric(kind, column.id, quantiles=tuple(sorted(ranks)))
    return Metric(kind, column.id)


@st.composite
def questions(draw: st.DrawFn, tables: tuple[str, ...] = tuple(dictionary().tables)) -> Question:
    table = dictionary().tables[draw(st.sampled_from(tables))]
    keyed = [column for column in table.columns.values() if column.kind is not Kind.NUMBER]
    numbers = [column for column in table.columns.values() if column.kind is Kind.NUMBER]
    where = {
        column.id: draw(st.lists(st.sampled_from(column.keys), min_size=1, max_size=3, unique=True))
        for column in draw(st.lists(st.sampled_from(keyed), max_size=2, unique=True))
    }
    metric = draw(metrics(numbers))
    most = 0 if metric.kind == "distribution" else 2
    by = [column.id for column in draw(st.lists(st.sampled_from(keyed), max_size=most, unique=True))]
    at_most = draw(st.integers(0, 3)) if metric.kind == "count" else 0
    unit = "children" if at_most else "rows"
    try:
        return ask(
            table.id, draw(st.integers(2000, 2100)), where, by, metric=metric, unit=unit, at_most=at_most
        )
    except QuestionInvalid:
        assume(False)  # more bins than there are, or too many numbers
        raise


@given(questions())
def test_a_question_is_the_same_after_signing_and_reading(question: Question) -> None:
    read = Question.from_fields(Fields(parse_canonical(canonical_json(question.to_json()))))

    assert read == question
    assert canonical_json(read.to_json()) == canonical_json(question.to_json())


@given(questions())
def test_every_cell_is_another_and_every_number_has_its_place(question: Question) -> None:
    cells = question.cells()

    assert len(set(cells)) == len(cells) == question.bins
    assert question.width == len(cells) * len(question.slots)
    assert len(set(question.slots)) == len(question.slots)
    assert question.sensitivity_squared >= 1


@given(questions(("referral", "contact")), st.integers(1, 10**9))
def test_what_is_made_honestly_is_never_refused(question: Question, sigma: int) -> None:
    asking = Asking("early-help", "ana", sigma, b"n" * 16, world.NOW + timedelta(minutes=5))
    query = make_query(question, asking, AGREEMENT, ROSTER)

    found, _ = open_query(sign_query(world.RESEARCHER, query), AGREEMENT)

    assert found == query == Query.from_fields(Fields(query.to_json()))
    check_terms(found, AGREEMENT, ROSTER, now=world.NOW)


@given(st.data(), questions())
def test_whatever_is_opened_is_told_within_its_interval(data: st.DataObject, question: Question) -> None:
    assume(question.width <= 200)
    total = st.integers(-(2**40), 2**40)
    totals = data.draw(st.lists(total, min_size=question.width, max_size=question.width))
    scale = data.draw(st.floats(0.5, 1e4))

    told = estimates(question, totals, scale, Display())

    assert [one.keys for one in told] == sorted((one.keys for one in told), key=[*question.cells()].index)
    for one in told:
        if isinstance(one, Estimate):
            assert one.low <= one.value <= one.high
            assert one.shown >= 0
