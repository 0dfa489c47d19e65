"""The demonstration's workbench: it reports what went wrong, and nothing outlives it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from elsewhere.demo.processes import TAIL_LINES, CommandFailed, Workbench

# Stands in for `elsewhere`: its first word says what it does.
PROGRAM = r"""
import os, signal, subprocess, sys
word = sys.argv[1]
if word == "say":
    print(" ".join(sys.argv[2:]))
elif word == "fail":
    print("\n".join(f"line {n}" for n in range(100)), file=sys.stderr)
    sys.exit(7)
elif word == "serve":
    print("ready 127.0.0.1:1", file=sys.stderr, flush=True)
    signal.pause()
elif word == "stubborn":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    code = "import signal; f = open('alive', 'wb', 0); f.write(b'up'); signal.pause()"
    subprocess.Popen([sys.executable, "-c", code])
    signal.pause()
"""


class _Ended(Exception):
    """Stands for a signal to end."""


@pytest.fixture
def typed() -> list[str]:
    return []


@pytest.fixture
def bench(tmp_path: Path, typed: list[str]) -> Iterator[Workbench]:
    made = Workbench(
        tmp_path, say=typed.append, check_end=lambda: None, program=[sys.executable, "-c", PROGRAM]
    )
    yield made
    made.stop()


def test_a_command_is_said_as_typed_and_its_output_returned(bench: Workbench, typed: list[str]) -> None:
    assert bench.run("say", "two words", "x") == "two words x\n"
    assert typed == ["elsewhere say 'two words' x"]


def test_commands_run_together_answer_in_order(bench: Workbench) -> None:
    assert bench.run_together([("say", "a"), ("say", "b")]) == ["a\n", "b\n"]


def test_a_failing_command_shows_its_last_20_lines(bench: Workbench) -> None:
    with pytest.raises(CommandFailed, match="ended with status 7: elsewhere fail") as failure:
        bench.run("fail")

    assert failure.value.tail.splitlines() == [f"line {n}" for n in range(100 - TAIL_LINES, 100)]


def test_a_server_that_ends_before_it_is_ready_is_a_failure(bench: Workbench) -> None:
    with pytest.raises(CommandFailed, match="ended by itself: elsewhere fail"):
        bench.wait_for_word(bench.serve("fail"), "ready", timeout_s=30)


def test_a_server_that_never_says_it_is_ready_is_a_failure(bench: Workbench) -> None:
    with pytest.raises(CommandFailed, match="did not say 'steady' within 0 s"):
        bench.wait_for_word(bench.start("serve"), "steady", timeout_s=0)


def test_watching_ends_when_a_server_does(bench: Workbench) -> None:
    serving = bench.serve("serve")
    bench.wait_for_word(serving, "ready", timeout_s=30)
    serving.process.kill()

    with pytest.raises(CommandFailed, match="ended by itself"):
        bench.watch()


def test_a_command_fails_with_the_server_it_waits_for(bench: Workbench) -> None:
    bench.serve("fail")

    with pytest.raises(CommandFailed, match="ended by itself: elsewhere fail"):
        bench.run("serve")


def test_stopping_ends_servers_and_what_they_started(bench: Workbench) -> None:
    os.mkfifo(bench.folder / "alive")  # its end is reached when nobody holds it open any more
    serving, stubborn = bench.start("serve"), bench.start("stubborn")
    bench.wait_for_word(serving, "ready", timeout_s=30)
    with (bench.folder / "alive").open("rb", 0) as grandchild:
        assert grandchild.read(2) == b"up"

        bench.stop()

        assert grandchild.read() == b""
    assert None not in (serving.process.poll(), stubborn.process.poll())


def test_a_wait_ends_when_everything_is_to_end(tmp_path: Path) -> None:
    def end() -> None:
        raise _Ended

    bench = Workbench(tmp_path, say=lambda _: None, check_end=end, program=[sys.executable, "-c", PROGRAM])
    with pytest.raises(_Ended):
        bench.run("serve")
    bench.stop()


def test_logs_are_for_their_owner_alone(bench: Workbench) -> None:
    bench.run("say", "x")

    assert os.stat(bench.folder / "logs").st_mode & 0o077 == 0
