"""Forty elements from match keys and one seed.

Source:   docs/protocol.md "A question".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from searcher import ristretto, voprf
from searcher.keys import SLOTS, KeySet, MatchKey
from searcher.parts import Child
from searcher.seal import expand, extract

DOMAIN = b"elsewhere/question/v1"


@dataclass(frozen=True, slots=True)
class Slot:
    """What one element hides; `key` is None for a filler."""

    key: MatchKey | None
    input: bytes
    blind: int
    element: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """One child asked about, for all custodians of a lookup."""

    slots: tuple[Slot, ...]
    commitment: bytes

    @property
    def elements(self) -> list[bytes]:
        return [slot.element for slot in self.slots]


def make(child: Child, keys: KeySet, random: Callable[[int], bytes]) -> Question:
    """Draw salt and seed, and make the question."""
    salt, seed = random(32), random(32)
    slots = tuple(from_seed(keys.question(child), seed))
    return Question(slots, commitment(salt, child.canonical(), seed, keys.version))


def from_seed(keys: list[MatchKey], seed: bytes) -> list[Slot]:
    prk = extract(DOMAIN, seed)

    def take(label: str, number: int, size: int) -> bytes:
        return expand(prk, label.encode() + b":" + number.to_bytes(2, "big"), size)

    items: list[tuple[MatchKey | None, bytes]] = [(key, key.data) for key in keys]
    for number in range(len(keys), SLOTS):
        items.append((None, DOMAIN + b"/filler:" + take("filler", number, 32)))
    order = sorted(range(SLOTS), key=lambda number: take("shuffle", number, 16))
    made = []
    for place, number in enumerate(order):
        key, data = items[number]
        blind = ristretto.scalar_from_wide(take("blind", place, 64))
        made.append(Slot(key, data, blind, ristretto.multiply(blind, voprf.hash_to_group(data))))
    return made


def commitment(salt: bytes, person: bytes, seed: bytes, version: str) -> bytes:
    parts = (DOMAIN, salt, person, seed, version.encode())
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
