"""The sum opens from every participant's share of one query and roster, and from nothing less or else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elsewhere.errors import DocumentInvalid
from elsewhere.securesum.errors import SharesApart
from elsewhere.securesum.masks import open_total
from elsewhere.securesum.opening import open_shares
from elsewhere.securesum.share import Share, open_share, sign_share
from tests.summing import LEAF, QID, signing_key, summing

FOUR = summing(4)
A, B, C, D = FOUR.agencies
FIXED = FOUR.fixed()
VALUES = {A: [1, -2, 3], B: [10, 20, -30], C: [0, 0, 2**40], D: [-(2**40), 5, 7]}
SHARES = {agency: FOUR.share(agency, values, FIXED) for agency, values in VALUES.items()}
TOTALS = [sum(column) for column in zip(*VALUES.values(), strict=True)]


def refuse(shares: dict[str, bytes], width: int = 3) -> None:
    with pytest.raises(SharesApart):
        open_shares(FIXED, shares, FOUR.roster, width)


def signed(agency: str, body: bytes, *, qid: bytes = QID, rh: bytes = FIXED.rh) -> bytes:
    return sign_share(signing_key(agency), Share(agency, qid, rh, body, LEAF))


def test_all_shares_open_to_the_exact_sum() -> None:
    assert open_shares(FIXED, SHARES, FOUR.roster, 3) == TOTALS


def test_with_a_share_missing_there_is_no_sum() -> None:
    rest = {agency: share for agency, share in SHARES.items() if agency != C}
    refuse(rest)

    bodies = [FOUR.body(agency, [16] * 24, FIXED) for agency in rest]
    # Words below 2^40 come once in 2^23: two of 24 below 1e-11.
    assert sum(abs(total) < 2**40 for total in open_total(bodies, 24)) < 2


def test_a_share_too_many_is_refused() -> None:
    refuse(SHARES | {"agency-99": SHARES[A]})


def test_one_members_share_does_not_stand_in_for_anothers() -> None:
    in_anothers_name = Share(A, QID, FIXED.rh, FOUR.body(B, VALUES[B], FIXED), LEAF)

    refuse(SHARES | {B: SHARES[A]})
    refuse(SHARES | {B: sign_share(signing_key(B), in_anothers_name)})


def test_a_share_of_another_query_or_roster_is_refused() -> None:
    body = FOUR.body(B, VALUES[B], FIXED)
    assert open_shares(FIXED, SHARES | {B: signed(B, body)}, FOUR.roster, 3) == TOTALS

    refuse(SHARES | {B: signed(B, body, qid=bytes(32))})
    refuse(SHARES | {B: signed(B, body, rh=FOUR.fixed(A, B, C).rh)})


def test_shares_of_a_smaller_roster_are_no_answer_to_the_fixed_one() -> None:
    shrunk = FOUR.fixed(A, B, C)

    refuse({agency: FOUR.share(agency, VALUES[agency], shrunk) for agency in (A, B, C)})
    refuse(SHARES | {agency: FOUR.share(agency, VALUES[agency], shrunk) for agency in (A, B, C)})


@pytest.mark.parametrize("length", [8, 16, 32, 8 * 20_000])
def test_a_share_of_another_length_poisons_nothing(length: int) -> None:
    refuse(SHARES | {B: signed(B, bytes(length))})


@pytest.mark.parametrize("length", [0, 7, 9])
def test_a_body_of_broken_words_is_no_share(length: int) -> None:
    with pytest.raises(DocumentInvalid):
        Share(A, QID, FIXED.rh, bytes(length), LEAF)


def test_another_width_than_the_querys_is_refused() -> None:
    refuse(SHARES, width=2)


def test_a_share_altered_by_whoever_brings_it_is_refused() -> None:
    share = open_share(SHARES[B], signing_key(B).public)
    forged = sign_share(signing_key("agency-99"), replace(share, body=bytes(24)))

    refuse(SHARES | {B: forged})
    refuse(SHARES | {B: SHARES[B][:-40] + b"\0" * 40})
    refuse(SHARES | {B: b""})


def test_a_share_comes_back_as_it_was_signed() -> None:
    share = Share(A, QID, FIXED.rh, bytes(range(24)), bytes([4]) * 32)

    assert open_share(sign_share(signing_key(A), share), signing_key(A).public) == share
    assert repr(share.body) not in repr(share)
