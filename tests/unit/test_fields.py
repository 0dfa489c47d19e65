"""Documents are read strictly: nothing missing, nothing extra, every refusal names its key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields, as_instant, as_text, format_instant

NOON = datetime(2026, 9, 30, 12, tzinfo=UTC)


def test_a_read_table_leaves_nothing_over() -> None:
    fields = Fields({"name": "A", "list": ["x", "y"], "n": 3, "on": True, "at": "2026-09-30T12:00:00Z"})

    assert fields.text("name") == "A"
    assert fields.choices("list", {"x", "y"}) == ("x", "y")
    assert fields.integer("n", 1, 3) == 3
    assert fields.flag("on") is True
    assert fields.instant("at") == NOON
    fields.done()


def test_an_unknown_key_is_refused_by_its_path() -> None:
    inner = Fields({"rules": [{"tier": "R1"}]}).tables("rules")[0]

    with pytest.raises(DocumentInvalid) as refusal:
        inner.done()

    assert refusal.value.key == "rules[1].tier"


def test_a_missing_key_is_refused_by_its_path() -> None:
    with pytest.raises(DocumentInvalid) as refusal:
        Fields({"limits": {}}).table("limits").integer("per_day", 1, 2)

    assert refusal.value.key == "limits.per_day"


@pytest.mark.parametrize(
    ("method", "value", "more"),
    [
        ("text", 1, ()),
        ("text", "", ()),
        ("text", "a\nb", ()),
        ("text", "x" * 4001, ()),
        ("text", "Police", ("[a-z]+",)),
        ("texts", "police", ()),
        ("texts", ["a", "a"], ()),
        ("texts", [1], ()),
        ("choice", "C", (("A", "B"),)),
        ("choice", ["A"], (("A", "B"),)),
        ("choices", ["A", "C"], (("A", "B"),)),
        ("integer", True, (0, 1)),
        ("integer", 1.0, (0, 1)),
        ("integer", 2, (0, 1)),
        ("integers", [1, 1], (0, 1)),
        ("flag", 1, ()),
        ("flag", "true", ()),
        ("instant", "2026-09-30", ()),
        ("instant", "2026-02-30T00:00:00Z", ()),
        ("instant", "2026-09-30T12:00:00+01:00", ()),
        ("instant", datetime(2026, 9, 30), ()),
        ("octets", "AB", (1,)),
        ("octets", "abc", (1,)),
        ("octets", "abcd", (1,)),
        ("octets", 7, (1,)),
        ("table", [], ()),
        ("tables", {}, ()),
        ("tables", ["x"], ()),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_key(
    method: str, value: object, more: tuple[object, ...]
) -> None:
    with pytest.raises(DocumentInvalid) as refusal:
        getattr(Fields({"key": value}), method)("key", *more)

    assert refusal.value.key.startswith("key")


def test_a_document_that_is_no_table_is_refused() -> None:
    with pytest.raises(DocumentInvalid):
        Fields(["not", "a", "table"])


def test_a_key_that_could_carry_anything_is_not_repeated_in_the_message() -> None:
    with pytest.raises(DocumentInvalid) as refusal:
        Fields({"Amira Khan\n2019": 1}).done()

    assert "Amira" not in str(refusal.value)


def test_times_are_kept_in_utc_and_written_in_one_way() -> None:
    summer = NOON.astimezone(timezone(timedelta(hours=1)))

    assert as_instant(summer, "at") == as_instant("2026-09-30T12:00:00Z", "at")
    assert as_instant(summer, "at").tzinfo is UTC
    assert format_instant(summer) == "2026-09-30T12:00:00Z"


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 9, 30, 12),
        NOON.replace(microsecond=1),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2))),
        None,
        20260930,
    ],
)
def test_a_time_that_could_be_read_two_ways_is_refused(moment: object) -> None:
    with pytest.raises(DocumentInvalid):
        as_instant(moment, "at")


def test_a_line_of_text_holds_no_control_characters() -> None:
    assert as_text("Children’s social care", "name") == "Children’s social care"
    with pytest.raises(DocumentInvalid):
        as_text("a\x1b[2J", "name")
