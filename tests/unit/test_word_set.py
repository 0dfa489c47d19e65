"""The compact set of words holds what a set holds."""

from __future__ import annotations

from random import Random

from node.caseload.words import WordSet


def test_a_word_set_holds_what_was_added_and_nothing_else() -> None:
    random = Random(7)
    given = [0, 2**64 - 1, *(random.getrandbits(64) for _ in range(120_000))]
    words = WordSet()
    for word in given + given[:100]:
        words.add(word)

    assert all(word in words for word in given)
    others = [random.getrandbits(64) for _ in range(1000)]
    assert not any(word in words for word in [1, 2**64 - 2, *others])
