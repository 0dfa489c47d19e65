"""A node's way through one query: whom it adds up with, and whom it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from elsewhere.errors import ElsewhereError
from elsewhere.sealing import STUDY, Context, open_sealed, seal
from elsewhere.securesum.accounting import total_scale
from elsewhere.securesum.errors import RosterRefused, SealRefused, TooFewHold, TooFewTakePart
from elsewhere.securesum.masks import mask, open_total
from elsewhere.securesum.noise import share_scale
from elsewhere.securesum.prepare import PREPARE_TYPE, Prepare, sign_prepare
from elsewhere.securesum.rounds import STUDY_VERSION, Preparing, fix_roster
from elsewhere.signing import SigningKey, enclose, sign_bytes
from tests.summing import QID, Sum, names, roster_of, sealing_key, signing_key, summing

FOUR = summing(4)
A, B, C, D = FOUR.agencies


def signed(prepare: Prepare, *, by: str | None = None) -> bytes:
    return sign_prepare(signing_key(by or prepare.agency), prepare)


def refuse(*envelopes: bytes, made: Sum = FOUR) -> None:
    """These prepares beside those of the first three; each node would refuse the roster."""
    with pytest.raises(RosterRefused):
        fix_roster(made.terms, [*list(made.prepares.values())[:3], *envelopes], made.roster)


def test_both_ends_of_a_pair_find_one_key_and_no_two_pairs_the_same() -> None:
    fixed = FOUR.fixed()
    keys = {agency: FOUR.keys(agency, fixed) for agency in FOUR.agencies}

    pairs = {frozenset((one, other)): key for one, found in keys.items() for other, key in found.items()}

    assert all(keys[one][other] == keys[other][one] for one, other in map(sorted, pairs))
    assert len(set(pairs.values())) == len(pairs) == 6


def test_a_roster_is_the_same_in_whatever_order_it_is_shown() -> None:
    assert FOUR.fixed(*reversed(FOUR.agencies)) == FOUR.fixed()


def test_a_member_that_nobody_listed_is_refused() -> None:
    sybil = replace(FOUR.nodes[D].prepare, agency="agency-99")

    refuse(signed(sybil))


def test_a_prepare_that_another_has_signed_in_a_members_name_is_refused() -> None:
    refuse(signed(FOUR.nodes[D].prepare, by="agency-99"))


def test_a_member_that_the_query_does_not_name_is_refused() -> None:
    five = replace(FOUR, agencies=names(5), roster=roster_of(names(5)))  # the terms still name four

    refuse(five.prepares["agency-04"], made=five)


def test_a_member_that_is_not_active_is_refused() -> None:
    members = [replace(one, state="suspended") if one.agency_id == D else one for one in FOUR.roster.members]

    refuse(FOUR.prepares[D], made=replace(FOUR, roster=replace(FOUR.roster, members=tuple(members))))


def test_a_member_that_stands_twice_is_refused_whichever_keys_it_shows() -> None:
    again = FOUR.prepare(C, "another key")
    assert again.prepare.epk != FOUR.nodes[C].prepare.epk

    refuse(FOUR.prepares[C])
    refuse(signed(again.prepare))


def test_a_key_that_another_participant_shows_too_is_refused() -> None:
    copied = replace(FOUR.nodes[D].prepare, epk=FOUR.nodes[A].prepare.epk)

    refuse(signed(copied))


def test_a_prepare_of_an_earlier_query_is_refused() -> None:
    earlier = replace(FOUR.nodes[D].prepare, qid=bytes(32))

    refuse(signed(earlier))


@pytest.mark.parametrize(
    "altered",
    [
        replace(FOUR.nodes[C].prepare, epk=bytes([9]) * 32),
        replace(FOUR.nodes[C].prepare, seals={D: bytes(32)}),
        replace(FOUR.nodes[C].prepare, left_nrho=8),
    ],
    ids=["epk", "seals", "left_nrho"],
)
def test_a_prepare_altered_on_its_way_is_refused(altered: Prepare) -> None:
    payload = altered.payload
    signature = sign_bytes(signing_key(C), PREPARE_TYPE, FOUR.nodes[C].prepare.payload)
    envelopes = [FOUR.prepares[A], FOUR.prepares[B], FOUR.prepares[D]]

    forged = enclose(PREPARE_TYPE, payload, {signing_key(C).public: signature})

    with pytest.raises(RosterRefused):
        fix_roster(FOUR.terms, [*envelopes, forged], FOUR.roster)


@pytest.mark.parametrize("garbage", [b"", b"{}", b"\xff" * 40, b'{"payload":"","payloadType":"x"}'])
def test_what_is_no_prepare_is_refused(garbage: bytes) -> None:
    refuse(garbage)


def test_two_nodes_of_one_operator_count_once() -> None:
    both = {"agency-02": "shared host", "agency-03": "shared host"}
    four, five = summing(4, colluding=2, operators=both), summing(5, colluding=2, operators=both)

    with pytest.raises(TooFewTakePart):
        four.fixed()  # three operators, of whom two may collude: one would be alone
    assert five.fixed().operators == 4


def test_fewer_than_agreed_add_nothing() -> None:
    of_one = {"agency-03": "agency-02"}

    with pytest.raises(TooFewTakePart):
        summing(3, min_roster=4).fixed()
    with pytest.raises(TooFewTakePart):
        summing(4, min_roster=4, operators=of_one).fixed()
    assert summing(4, min_roster=4).fixed().operators == 4


def test_a_node_that_is_left_out_gives_no_share() -> None:
    with pytest.raises(RosterRefused):
        FOUR.keys(A, FOUR.fixed(B, C, D))


def test_a_node_gives_no_share_for_a_prepare_that_it_did_not_make_this_time() -> None:
    """As after a restart: a prepare it signed before, whose key is gone."""
    others = FOUR.prepares | {A: signed(FOUR.prepare(A, "before the restart").prepare)}
    fixed = fix_roster(FOUR.terms, list(others.values()), FOUR.roster)

    with pytest.raises(RosterRefused):
        FOUR.keys(A, fixed)


@pytest.mark.parametrize("sealed", [None, b"", bytes(1200)], ids=["missing", "empty", "another"])
def test_a_seal_that_its_author_did_not_sign_is_refused(sealed: bytes | None) -> None:
    seals = FOUR.seals_for(B) | ({A: sealed} if sealed is not None else {})
    if sealed is None:
        del seals[A]

    with pytest.raises(SealRefused):
        FOUR.nodes[B].mask_keys(FOUR.fixed(), seals, [sealing_key(B)])


def test_a_seal_swapped_for_that_of_another_member_is_refused() -> None:
    seals = FOUR.seals_for(C)

    with pytest.raises(SealRefused):
        FOUR.nodes[C].mask_keys(FOUR.fixed(), seals | {A: seals[B]}, [sealing_key(C)])


def test_a_secret_that_whoever_relays_has_sealed_in_anothers_name_is_refused() -> None:
    """It opens, as anybody can seal to a public key; but it is not the one that its author signed."""
    context = Context.for_study(protocol_version=STUDY_VERSION, sender=A, receiver=B, qid=QID)
    forged = seal(sealing_key(B).public, bytes(32), context=context, size=STUDY)
    assert open_sealed(sealing_key(B), forged, context=context) == bytes(32)

    with pytest.raises(SealRefused):
        FOUR.nodes[B].mask_keys(FOUR.fixed(), FOUR.seals_for(B) | {A: forged}, [sealing_key(B)])


def test_a_seal_opens_with_the_key_of_last_week_and_with_no_others() -> None:
    fixed, node, seals = FOUR.fixed(), FOUR.nodes[B], FOUR.seals_for(B)

    assert node.mask_keys(fixed, seals, [sealing_key("new"), sealing_key(B)]) == FOUR.keys(B, fixed)
    with pytest.raises(SealRefused):
        node.mask_keys(fixed, seals, [sealing_key("new")])


def test_a_participant_for_whom_nothing_was_drawn_is_refused() -> None:
    """A gateway that shows a node fewer participants first, and more when the roster is fixed."""
    three = summing(3)
    made = Preparing.begin(
        A, QID, {B: sealing_key(B).public}, left_nrho=7, random=lambda count: bytes([5]) * count
    )
    envelopes = [signed(made.prepare), *list(three.prepares.values())[1:]]
    fixed = fix_roster(three.terms, envelopes, three.roster)

    with pytest.raises(SealRefused):
        made.mask_keys(fixed, {}, [sealing_key(A)])


def test_a_key_that_gives_no_secret_is_refused() -> None:
    weak = replace(FOUR.nodes[D].prepare, epk=bytes(32))  # of low order: the shared secret is zeros
    envelopes = FOUR.prepares | {D: signed(weak)}
    fixed = fix_roster(FOUR.terms, list(envelopes.values()), FOUR.roster)

    with pytest.raises(RosterRefused):
        FOUR.keys(A, fixed)


def test_nodes_that_were_shown_different_rosters_give_no_sum() -> None:
    """A gateway that equivocates: two nodes mask for all four, two for another key of the last one."""
    values, width = [16 * 5] * 24, 24
    other = FOUR.prepare(D, "second face")
    faces = replace(FOUR, agencies=FOUR.agencies)
    faces.__dict__["nodes"] = FOUR.nodes | {D: other}
    one, two = FOUR.fixed(), faces.fixed()
    assert one.rh != two.rh

    bodies = [FOUR.body(A, values, one), FOUR.body(B, values, one), faces.body(C, values, two)]
    bodies.append(faces.body(D, values, two))

    # The masks of A and B cancel with nobody's: words below 2^40 come once in 2^23. Two of 24: < 1e-11.
    assert sum(abs(total) < 2**40 for total in open_total(bodies, width)) < 2
    assert open_total([FOUR.body(agency, values, one) for agency in FOUR.agencies], width) == [320] * width


def test_a_gateway_that_splits_the_participants_gets_two_sums_with_all_the_noise_in_each() -> None:
    """The one that colludes shows each half a prepare of its own, so that both rosters stand."""
    seven = summing(7)
    colluder, left, right = seven.agencies[0], seven.agencies[1:4], seven.agencies[4:]

    for half in (left, right):
        fixed = seven.fixed(colluder, *half)
        scale = share_scale(
            sigma=12, sensitivity_squared=1, operators=fixed.operators, colluding=1, floor_nrho=10**9
        )
        honest = open_total([seven.body(one, [1], fixed) for one in (colluder, *half)], 1)

        assert honest == [4]
        # A child at h members of one half and g of the other loses h^2 + g^2 of rho, at most the (h + g)^2
        # that was charged, since in either sum the honest members' noise alone is the whole.
        assert total_scale([scale] * len(half)) == pytest.approx(12)


def test_a_smaller_roster_has_other_masks_so_that_sums_over_both_cannot_be_compared() -> None:
    fixed, shrunk = FOUR.fixed(), FOUR.fixed(A, B, C)

    for agency in (A, B, C):
        before, after = FOUR.keys(agency, fixed), FOUR.keys(agency, shrunk)
        assert all(before[other] != key for other, key in after.items())


def test_twin_masks_that_ignore_the_roster_give_one_members_answer_away() -> None:
    """What binding masks to the roster prevents: the difference of two sums is one node's share."""
    noised = {A: [161], B: [322], C: [483], D: [777]}
    fixed = FOUR.fixed()
    keys = {agency: FOUR.keys(agency, fixed) for agency in FOUR.agencies}

    def add(*agencies: str) -> int:
        among = [
            mask(noised[one], one, {other: key for other, key in keys[one].items() if other in agencies})
            for one in agencies
        ]
        return open_total(among, 1)[0]

    assert add(A, B, C, D) - add(A, B, C) == noised[D][0]


def test_secrets_do_not_print() -> None:
    node, secret = FOUR.nodes[A], FOUR.nodes[A].drawn[B]

    assert repr(secret) not in repr(node)
    assert "private" not in repr(node)


def test_another_members_lattice_key_does_not_stand_in_for_the_seal() -> None:
    """Whoever breaks X25519 alone has one half: the other came sealed."""
    fixed, node = FOUR.fixed(), FOUR.nodes[A]
    other_half = replace(node, drawn={other: bytes(32) for other in node.drawn})

    guessed = other_half.mask_keys(fixed, {}, [])

    assert all(guessed[other] != key for other, key in FOUR.keys(A, fixed).items())


def test_the_sealed_half_alone_does_not_give_a_mask() -> None:
    fixed, node = FOUR.fixed(), FOUR.nodes[A]
    other_key = replace(node, private=X25519PrivateKey.from_private_bytes(bytes([3]) * 32))

    guessed = other_key.mask_keys(fixed, {}, [])

    assert all(guessed[other] != key for other, key in FOUR.keys(A, fixed).items())


def test_a_prepare_that_names_an_agency_before_its_own_is_no_prepare() -> None:
    with pytest.raises(ElsewhereError):
        replace(FOUR.nodes[C].prepare, seals={A: bytes(32)})
    with pytest.raises(ElsewhereError):
        replace(FOUR.nodes[C].prepare, seals={C: bytes(32)})


def test_keys_of_the_roster_sign_prepares_and_no_others() -> None:
    stray = SigningKey.from_seed(bytes([8]) * 32)

    refuse(sign_prepare(stray, FOUR.nodes[D].prepare))


def test_fewer_holders_than_agreed_add_nothing() -> None:
    made = summing(5, holders=(A, B, C), min_holders=3)

    assert made.fixed(A, B, C, D).prepares
    with pytest.raises(TooFewHold, match="3 operators that hold it, got 2"):
        made.fixed(A, B, D, "agency-04")


def test_holders_of_one_operator_count_once() -> None:
    made = summing(5, operators={A: "one", B: "one"}, holders=(A, B, C), min_holders=3)

    with pytest.raises(TooFewHold):
        made.fixed()
