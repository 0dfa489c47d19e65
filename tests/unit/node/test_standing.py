"""Which version is stated: one that can be fetched, never an older one, and after a while the newest."""

from __future__ import annotations

from elsewhere.lookup import Head
from node.catalogues.standing import _MAX_WAITING, Standing
from tests.unit.node.exchange_world import NAMES

NAME, OTHER = NAMES


def head(version: int) -> Head:
    return Head(version, version.to_bytes(32))


class At:
    """A clock that says what it is told."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_before_anything_is_made_or_taken_version_0_is_stated() -> None:
    standing = Standing(100, At())
    assert standing.head(NAME) == Head(0)
    standing.made(NAME, head(1))
    assert standing.head(NAME) == Head(0)
    standing.taken(NAME, head(1))
    assert standing.head(NAME) == head(1)


def test_what_an_earlier_term_stated_is_stated_at_once() -> None:
    standing = Standing(100, At())
    standing.begin(NAME, head(7), head(7))
    assert standing.head(NAME) == head(7)
    standing.taken(NAME, head(3))  # a gateway that has forgotten is being sent everything again
    assert standing.head(NAME) == head(7)


def test_a_version_that_has_waited_too_long_is_stated_though_nobody_can_fetch_it() -> None:
    clock = At()
    standing = Standing(100, clock)
    standing.begin(NAME, head(1), head(1))
    standing.begin(OTHER, head(1), head(1))
    for version in (2, 3, 4):
        standing.made(NAME, head(version))
        clock.now_s += 50
    assert standing.head(NAME) == head(4)
    assert standing.late() == {NAME}
    standing.taken(NAME, head(2))  # version 3 has waited for 100 s, which is not too long
    assert standing.head(NAME) == head(2)
    assert not standing.late()
    clock.now_s += 1
    assert standing.head(NAME) == head(4)
    standing.taken(NAME, head(4))
    clock.now_s += 1000
    assert standing.head(NAME) == head(4)
    assert not standing.late()


def test_one_version_behind_in_every_tick_is_not_late() -> None:
    clock = At()
    standing = Standing(100, clock)
    for version in range(1, 50):
        standing.made(NAME, head(version))
        clock.now_s += 60
        if version > 1:
            standing.taken(NAME, head(version - 1))
            assert standing.head(NAME) == head(version - 1)


def test_a_version_taken_before_it_was_noted_as_made_does_not_wait() -> None:
    clock = At()
    standing = Standing(100, clock)
    standing.taken(NAME, head(1))
    standing.made(NAME, head(1))
    clock.now_s = 1000
    assert not standing.late()
    assert standing.head(NAME) == head(1)


def test_after_a_long_wait_something_taken_does_not_hide_what_still_waits() -> None:
    clock = At()
    standing = Standing(100, clock)
    for version in range(1, 2 * _MAX_WAITING):
        standing.made(NAME, head(version))
    clock.now_s = 101
    standing.taken(NAME, head(_MAX_WAITING + 1))
    assert standing.head(NAME) == head(2 * _MAX_WAITING - 1)
