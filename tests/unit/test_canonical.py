"""Canonical JSON: one value, one byte string, and no other spelling read."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import NotCanonical

VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_reads_back_and_writes_the_same(value: Json) -> None:
    written = canonical_json(value)

    assert parse_canonical(written) == value
    assert canonical_json(parse_canonical(written)) == written


@given(VALUES)
def test_what_is_written_fast_is_what_the_standard_writes(value: Json) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused_with_our_own_error(data: bytes) -> None:
    try:
        value = parse_canonical(data)
    except NotCanonical:
        return
    assert canonical_json(value) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b"NaN",
        b"[Infinity]",
        b"1e400",
        b"1.0",
        b"-0",
        b"1E2",
        b"9007199254740993",
        b'{ "a":1}',
        b'{"b":1,"a":2}',
        b'"\\u0041"',
        b'"\\ud800"',
        b'{"\\ud800":1}',
        b"\xff",
        b'\xef\xbb\xbf"bom"',
        b"[" * 5000,
        b"[" * 5000 + b"]" * 5000,
        b"9" * 5000,
        b"1\n",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_anything_but_the_canonical_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        parse_canonical(data)


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), "\ud800", {"\ud800": 1}])
def test_a_value_without_a_canonical_form_is_refused_unquoted(value: Json) -> None:
    with pytest.raises(NotCanonical) as refusal:
        canonical_json(value)

    assert str(2**53) not in str(refusal.value)
