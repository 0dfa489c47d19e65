"""A study's arithmetic at one node and at whoever opens it: noise, masks, and how far off the sum is.

Promises: noise stands beside OpenDP called bare, masks beside bare ChaCha20, the error beside one trusted
          party that adds noise once, and beside nodes that each add the whole of it. All in the same run.
"""

from __future__ import annotations

import math
import secrets
import statistics
import time
from collections.abc import Callable

import opendp.prelude as dp
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from bench.figures import Figure
from elsewhere.securesum.masks import WORD_BYTES, mask, open_total, pair_key
from elsewhere.securesum.noise import LATTICE, central, noised, share_scale

ROUNDS = 5
MEMBERS, COLLUDING, SIGMA = 10, 3, 12.0
GROUP = "study-core"


def measure(width: int, draws: int) -> list[Figure]:
    """Measure with so many numbers in an answer, and errors over so many draws."""
    return [*_noise(width), *_masks(width), *_errors(draws)]


def _scale() -> float:
    """Of one member's share."""
    return share_scale(
        sigma=SIGMA, sensitivity_squared=16, operators=MEMBERS, colluding=COLLUDING, floor_nrho=10**9
    )


def _noise(width: int) -> list[Figure]:
    """What drawing costs, for one number."""
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    bare = dp.m.make_gaussian(*space, scale=LATTICE * _scale())
    counts = [secrets.randbelow(1000) for _ in range(width)]
    on_lattice = [LATTICE * count for count in counts]
    ours, floor = _beside(lambda: noised(counts, _scale()), lambda: bare(on_lattice))
    per_second = f"{width / ours:,.0f} a second on one core"
    return [
        Figure(
            GROUP, f"noise for {width:,} numbers, a number", 1e6 * ours / width, "us", 1e6 * floor / width,
            note=f"{per_second}; floor: OpenDP's measurement alone",
        )
    ]  # fmt: skip


def _masks(width: int) -> list[Figure]:
    """What hiding and opening cost, a number and member."""
    agencies = [f"agency-{number:02}" for number in range(MEMBERS)]
    me, others = agencies[0], agencies[1:]
    keys = {other: secrets.token_bytes(32) for other in others}
    values, zeros = [7] * width, bytes(WORD_BYTES * width)
    ours, floor = _beside(
        lambda: mask(values, me, keys), lambda: [_stream(key, zeros) for key in keys.values()]
    )
    bodies = [secrets.token_bytes(WORD_BYTES * width) for _ in agencies]
    opening, _ = _beside(lambda: open_total(bodies, width), lambda: None)
    private, peer = X25519PrivateKey.generate(), X25519PrivateKey.generate().public_key()
    agreeing, exchange = _beside(
        lambda: [pair_key(private.exchange(peer), zeros[:32], zeros[:32], me, one) for one in others],
        lambda: [private.exchange(peer) for _ in others],
    )
    each = 1e6 / (width * len(others))
    return [
        Figure(
            GROUP, "masks, a number and other member", each * ours, "us", each * floor,
            note=f"{1e3 * ours:.1f} ms for {width:,} numbers among {MEMBERS}; floor: bare ChaCha20 streams, "
            "not added",
        ),
        Figure(
            GROUP, "key of a mask, an other member", 1e6 * agreeing / len(others), "us",
            1e6 * exchange / len(others), note="floor: bare X25519",
        ),
        Figure(
            GROUP, "opening, a number and member", 1e6 * opening / (width * MEMBERS), "us",
            note=f"{1e3 * opening:.1f} ms for {width:,} numbers of {MEMBERS}",
        ),
    ]  # fmt: skip


def _errors(draws: int) -> list[Figure]:
    """How far off sums are, in the error of one trusted party that holds all data."""
    zeros, members = [0] * draws, range(MEMBERS)
    trusted = _deviation(central(zeros, SIGMA))
    ours = _deviation(_added([noised(zeros, _scale()) for _ in members])) / LATTICE / trusted
    plain = _deviation(_added([central(zeros, SIGMA) for _ in members])) / trusted
    expected = math.sqrt(MEMBERS / (MEMBERS - COLLUDING))
    return [
        Figure(
            GROUP, f"error of a sum, {MEMBERS} members of whom {COLLUDING} may collude", ours, "x central DP",
            expected, 1.05 * expected, plain=plain,
            note=f"{draws:,} draws; floor: the root of n / (n - c); plain: every node adds the whole noise",
        )
    ]  # fmt: skip


def _added(columns: list[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*columns, strict=True)]


def _deviation(draws: list[int]) -> float:
    return math.sqrt(sum(draw * draw for draw in draws) / len(draws))


def _stream(key: bytes, zeros: bytes) -> bytes:
    return Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(zeros)


def spent(work: Callable[[], object]) -> float:
    """Processor seconds: the median of rounds."""
    return _beside(work, lambda: None)[0]


def _beside(ours: Callable[[], object], bare: Callable[[], object]) -> tuple[float, float]:
    """Processor seconds of both, in turn, so that both see one machine: medians of rounds."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for work, times in zip((ours, bare), found, strict=True):
            began = time.process_time()
            work()
            times.append(time.process_time() - began)
    return statistics.median(found[0]), statistics.median(found[1])
