"""Questions that wait for a person: however many there are, what cannot wait is in the list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from elsewhere.canonical import Json, canonical_json
from elsewhere.clock import to_ms
from elsewhere.reviewing import MAX_REVIEWS
from node.answering.reviewing import DECIDED_WITHIN, Reviews, waiting_reviews
from node.store.engine import open_store
from node.store.reviewing import review
from node.store.writer import Writer

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def row(number: int, urgency: str, hours: int) -> dict[str, object]:
    """A question that came `number` milliseconds ago, a decision about which is expected in some hours."""
    expected_ms = to_ms(NOW + timedelta(hours=hours))
    facts: dict[str, Json] = {
        "counterparty": "social",
        "purpose": "S47_ENQUIRY",
        "basis": "A6E_TASK",
        "urgency": urgency,
        "role": "practitioner",
        "pseudonym": "ab" * 16,
        "case_reference": "cd" * 16,
        "clause": "5.1",
        "expected_by_ms": expected_ms,
    }
    return {
        "digest": number.to_bytes(32),
        "key": number.to_bytes(32),
        "received_ms": to_ms(NOW) - number,
        "state": "open",
        "until_ms": to_ms(NOW + DECIDED_WITHIN) - number,
        "facts": canonical_json(facts).decode(),
        "expected_ms": expected_ms,
    }


def test_no_number_of_questions_that_can_wait_hides_one_that_cannot(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").touch(0o600)
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with store.write() as connection:
        green = [row(number, "GREEN", 72) for number in range(1, MAX_REVIEWS + 2)]
        connection.execute(insert(review), [*green, row(0, "RED", 4)])
    with store.read() as connection:
        found = waiting_reviews(connection, NOW)
    writer = Writer(store)
    assert Reviews(store, writer, lambda: NOW).count() == MAX_REVIEWS + 2
    assert Reviews(store, writer, lambda: NOW + DECIDED_WITHIN).count() == 0
    writer.close()
    store.close()
    assert len(found) == MAX_REVIEWS
    assert found[0].urgency == "RED"
