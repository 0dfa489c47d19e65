"""Which requests are one question: the same but for what changes each time, and for the epoch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elsewhere.lookup import Documents, EvaluateRequest, Head, Terms
from node.answering.repeats import core_of

TERMS = Terms("S47_ENQUIRY", "A6C_DUTY", "RED", "practitioner", b"p" * 32, b"c" * 32)
ASKED = EvaluateRequest(
    lookup_id=b"l" * 16,
    searcher="social",
    custodian="police",
    collection="involvement",
    epoch=1,
    match_key_version="1",
    held=Head(3, b"r" * 32),
    terms=TERMS,
    commitment=b"m" * 32,
    documents=Documents(b"a" * 32, 1, b"s" * 32),
    issued_ms=1,
    nonce=b"n" * 16,
    reply_key=b"k" * 1216,
    elements=tuple(bytes([number]) * 32 for number in range(40)),
)


def test_the_same_question_under_the_next_epoch_is_not_another_one() -> None:
    """Or whoever could not be reached before an epoch's end would cost the asker's limit twice."""
    later = Documents(b"a" * 32, 2, b"t" * 32)
    again = replace(ASKED, epoch=2, held=Head(0), nonce=b"o" * 16, issued_ms=2, documents=later)
    assert core_of(again) == core_of(ASKED)


@pytest.mark.parametrize(
    "changed",
    [
        {"lookup_id": b"x" * 16},
        {"commitment": b"x" * 32},
        {"collection": "protected"},
        {"terms": replace(TERMS, pseudonym=b"x" * 32)},
        {"terms": replace(TERMS, purpose="MASH_TRIAGE")},
        {"elements": ASKED.elements[::-1]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_else_differs_makes_another_question(changed: dict[str, object]) -> None:
    assert core_of(replace(ASKED, **changed)) != core_of(ASKED)  # type: ignore[arg-type]
