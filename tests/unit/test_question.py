"""A question has one shape, follows from its seed, and opens to one person only."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from elsewhere import question as module
from elsewhere.errors import OpeningInvalid, TooManyKeys
from elsewhere.lookup import SLOTS
from elsewhere.oprf import group, voprf
from elsewhere.question import (
    FILLER_PREFIX,
    Question,
    QuestionSecrets,
    build_question,
    commit,
    rebuild_question,
)

KEYS = [f"key {n} of a synthetic child".encode() for n in range(28)]
SECRETS = QuestionSecrets(person=b'{"given":"Ada"}', key_version="2026.1", salt=b"s" * 32, seed=b"d" * 32)


@pytest.mark.parametrize("count", [0, 1, 28, 40])
def test_every_question_has_forty_distinct_elements(count: int) -> None:
    keys = [f"key {n}".encode() for n in range(count)]

    question = build_question(keys, SECRETS)

    group.check_batch(question.blinded, size=SLOTS)
    assert sorted(index for index in question.key_of_slot if index is not None) == list(range(count))
    assert len(set(question.blinds)) == len(set(question.inputs)) == SLOTS


def test_a_slot_holds_the_key_it_names_or_a_filler() -> None:
    question = build_question(KEYS, SECRETS)

    for slot, index in enumerate(question.key_of_slot):
        if index is None:
            assert question.inputs[slot].startswith(FILLER_PREFIX)
        else:
            assert question.inputs[slot] == KEYS[index]
        assert voprf.opens(question.inputs[slot], question.blinds[slot], question.blinded[slot])


def test_forty_one_keys_are_refused() -> None:
    with pytest.raises(TooManyKeys):
        build_question([f"key {n}".encode() for n in range(41)], SECRETS)


def test_repeated_keys_and_keys_like_fillers_are_refused() -> None:
    with pytest.raises(ValueError, match="distinct"):
        build_question([KEYS[0], KEYS[0]], SECRETS)
    with pytest.raises(ValueError, match="fillers"):
        build_question([FILLER_PREFIX + b"x"], SECRETS)


def test_the_same_secrets_rebuild_the_same_question() -> None:
    first, second = build_question(KEYS, SECRETS), build_question(KEYS, SECRETS)

    assert (first.inputs, first.blinds, first.blinded) == (second.inputs, second.blinds, second.blinded)
    assert first.commitment == second.commitment
    assert rebuild_question(KEYS, SECRETS, first.commitment).blinded == first.blinded


def test_another_seed_changes_the_order_of_slots_and_every_element() -> None:
    first = build_question(KEYS, SECRETS)
    second = build_question(KEYS, replace(SECRETS, seed=b"e" * 32))

    assert first.key_of_slot != second.key_of_slot
    assert not set(first.blinded) & set(second.blinded)
    assert not set(first.blinds) & set(second.blinds)


def test_slots_are_spread_evenly_over_seeds() -> None:
    # The first key lands in each of 40 slots about 20 times in 800 questions; 50 is six deviations away.
    landed = [0] * SLOTS
    for n in range(800):
        stream = module._Stream(hashlib.sha256(n.to_bytes(4)).digest())
        ranks = [stream.take(b"shuffle", item, module._RANK_SIZE) for item in range(SLOTS)]
        landed[sorted(range(SLOTS), key=ranks.__getitem__).index(0)] += 1

    assert min(landed) > 0
    assert max(landed) < 50


@pytest.mark.parametrize(
    "opened",
    [
        replace(SECRETS, person=b'{"given":"Bea"}'),
        replace(SECRETS, seed=b"e" * 32),
        replace(SECRETS, salt=b"t" * 32),
        replace(SECRETS, key_version="2026.2"),
    ],
    ids=["person", "seed", "salt", "version"],
)
def test_an_opening_with_anything_else_is_refused(opened: QuestionSecrets) -> None:
    asked = build_question(KEYS, SECRETS)

    with pytest.raises(OpeningInvalid):
        rebuild_question(KEYS, opened, asked.commitment)


def test_a_second_child_in_spare_slots_is_found_by_the_opening() -> None:
    asked = build_question([*KEYS, b"a key of another child"], SECRETS)

    assert rebuild_question(KEYS, SECRETS, asked.commitment).blinded != asked.blinded


def test_parts_of_a_commitment_cannot_be_shifted_into_each_other() -> None:
    salt_tail = replace(SECRETS, person=SECRETS.person + SECRETS.seed[:1])

    assert commit(salt_tail) != commit(SECRETS)
    assert commit(replace(SECRETS, person=b"ab")) != commit(replace(SECRETS, person=b"a"))


def test_the_commitment_is_the_documented_hash() -> None:
    parts = [b"elsewhere/question/v1", SECRETS.salt, SECRETS.person, SECRETS.seed, b"2026.1"]
    written = b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    assert commit(SECRETS) == hashlib.sha256(written).digest()


def test_nothing_secret_prints() -> None:
    shown = repr(SECRETS) + repr(build_question(KEYS, SECRETS))

    assert "Ada" not in shown
    assert "sss" not in shown
    assert "key 0" not in shown
    assert "filler" not in shown


def test_malformed_secrets_and_questions_cannot_be_held() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        replace(SECRETS, salt=b"short")
    with pytest.raises(ValueError, match="32 bytes"):
        replace(SECRETS, seed=b"")
    with pytest.raises(ValueError, match="person"):
        replace(SECRETS, person=b"")
    with pytest.raises(ValueError, match="40 slots"):
        Question(inputs=(), key_of_slot=(), blinds=(), blinded=(), commitment=bytes(32))
