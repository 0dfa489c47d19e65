"""Runs commands as an operator would type them, keeps what they say, and leaves no process behind.

Holds:    the processes it started, each in a session of its own, so that they are ended by it and in order,
          not by a Ctrl-C typed at the demonstration.
Promises: `stop` ends every one of them, and what they started, by process id. A wait looks every few
          milliseconds whether it is to end, so no signal can fall between starting a process and noting it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

TAIL_LINES = 20
COMMAND_TIMEOUT_S = 120.0
_POLL_S = 0.02
_GRACE_S = 10.0


class CommandFailed(Exception):
    """A command ended wrongly, early, or not at all. `tail` holds its last lines."""

    def __init__(self, typed: str, reason: str, tail: str) -> None:
        super().__init__(f"{reason}: {typed}")
        self.tail = tail


@dataclass(frozen=True, slots=True)
class Command:
    """A started command: as typed, its process, and the files that take what it prints."""

    typed: str
    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def tail(self) -> str:
        """The last lines it printed, errors last."""
        lines = [*_lines(self.out), *_lines(self.err)]
        return "\n".join(lines[-TAIL_LINES:])


class Workbench:
    """A folder to type commands in."""

    def __init__(
        self,
        folder: Path,
        *,
        say: Callable[[str], None],
        check_end: Callable[[], None],
        program: Sequence[str],
    ) -> None:
        """Take a folder.

        Args:
            folder: where commands run; `logs` is made in it.
            say: gets each command before it runs, as an operator would type it.
            check_end: called while waiting; raises when everything is to end.
            program: what the word `elsewhere` starts.
        """
        self.folder, self._say, self._check_end, self._program = folder, say, check_end, program
        self._logs = folder / "logs"
        self._logs.mkdir(mode=0o700)
        self._started: list[Command] = []
        self._serving: list[Command] = []

    def start(self, *words: str, shown: bool = False) -> Command:
        """Start `elsewhere` with these words. With `shown`, what it prints goes to our standard output."""
        typed = shlex.join(("elsewhere", *words))
        self._say(typed)
        stem = self._logs / f"{len(self._started) + 1:02d}-{'-'.join(words[:2])}"
        out, err = stem.with_suffix(".out"), stem.with_suffix(".err")
        with out.open("wb") as out_file, err.open("wb") as err_file:
            process = subprocess.Popen(
                [*self._program, *words],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=None if shown else out_file,
                stderr=err_file,
                start_new_session=True,
            )
        command = Command(typed, process, out, err)
        self._started.append(command)
        return command

    def serve(self, *words: str) -> Command:
        """Start a command that is to run until `stop`: whatever waits meanwhile fails when it ends."""
        command = self.start(*words)
        self._serving.append(command)
        return command

    def run(self, *words: str, shown: bool = False) -> str:
        """Run a command to its end and return what it printed on standard output.

        Raises:
            CommandFailed: it ended with another status than 0, or not in time.
        """
        return self._finish(self.start(*words, shown=shown))

    def run_together(self, commands: Sequence[Sequence[str]]) -> list[str]:
        """Run several commands at once, to the end of all; as `run`."""
        started = [self.start(*words) for words in commands]
        return [self._finish(command) for command in started]

    def wait_for_word(self, command: Command, word: str, *, timeout_s: float) -> None:
        """Wait until a running command prints a line that begins with a word on standard error.

        Raises:
            CommandFailed: it ended, or the time did.
        """
        end = time.monotonic() + timeout_s
        while not any(line.split(" ")[0] == word for line in _lines(command.err)):
            if time.monotonic() > end:
                raise CommandFailed(
                    command.typed, f"did not say '{word}' within {timeout_s:g} s", command.tail
                )
            self._pause()

    def watch(self) -> NoReturn:
        """Wait until everything is to end.

        Raises:
            CommandFailed: something that serves ended by itself.
        """
        while True:
            self._pause()

    def stop(self) -> None:
        """End everything that still runs, the latest started first, and whatever it has started in turn."""
        running = [command.process for command in reversed(self._started) if command.process.poll() is None]
        for process in running:
            process.terminate()
        end = time.monotonic() + _GRACE_S
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - time.monotonic()))
        for command in self._started:
            # The group that the process led: workers that outlived it, or itself if it did not end.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(command.process.pid, signal.SIGKILL)
            command.process.wait()

    def _finish(self, command: Command) -> str:
        end = time.monotonic() + COMMAND_TIMEOUT_S
        while (status := command.process.poll()) is None:
            if time.monotonic() > end:
                raise CommandFailed(command.typed, f"took over {COMMAND_TIMEOUT_S:g} s", command.tail)
            self._pause()
        if status != 0:
            raise CommandFailed(command.typed, f"ended with status {status}", command.tail)
        return command.out.read_text("utf-8")

    def check(self) -> None:
        """Return while everything that is to run does; raises CommandFailed otherwise."""
        self._check_end()
        for command in self._serving:
            if command.process.poll() is not None:
                raise CommandFailed(command.typed, "ended by itself", command.tail)

    def _pause(self) -> None:
        self.check()
        time.sleep(_POLL_S)


def program() -> list[str]:
    """Return how to start `elsewhere`: the command beside this Python, or this Python with the module."""
    beside = shutil.which("elsewhere", path=str(Path(sys.executable).parent))
    return [beside] if beside else [sys.executable, "-P", "-m", "elsewhere"]


def _environment() -> dict[str, str]:
    """Our own environment; a checkout that is not installed is found where this very module was."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8", "replace").splitlines() if path.exists() else []
