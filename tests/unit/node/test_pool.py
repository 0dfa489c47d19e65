"""The threads for cryptography: two lines, the urgent one first, and nothing lost at the end."""

from __future__ import annotations

import threading

import pytest

from node.pool import Pool


def test_what_is_urgent_overtakes_what_waits_and_each_line_keeps_its_order() -> None:
    pool, gate = Pool(1), threading.Event()
    done: list[str] = []
    held = pool.submit(gate.wait)
    for name in ("proof 1", "proof 2"):
        pool.submit(done.append, name)
    for name in ("answer 1", "answer 2"):
        pool.urgent.submit(done.append, name)
    gate.set()
    pool.shutdown()

    assert held.result()
    assert done == ["answer 1", "answer 2", "proof 1", "proof 2"]


def test_as_many_steps_at_once_as_there_are_threads() -> None:
    pool, meeting = Pool(2), threading.Barrier(2, timeout=10)
    first, second = pool.submit(meeting.wait), pool.submit(meeting.wait)

    assert {first.result(), second.result()} == {0, 1}
    pool.shutdown()


def test_what_a_step_raises_reaches_whoever_waits_and_its_thread_goes_on() -> None:
    pool = Pool(1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result()

    assert pool.submit(divmod, 7, 2).result() == (3, 1)
    pool.shutdown()


def test_a_step_that_nobody_waits_for_any_more_is_not_begun() -> None:
    pool, gate = Pool(1), threading.Event()
    done: list[str] = []
    pool.submit(gate.wait)
    given_up = pool.submit(done.append, "given up")
    assert given_up.cancel()
    gate.set()
    pool.shutdown()

    assert done == []
