"""One `elsewhere node load` as an operator types it, at a terminal of its own, to be killed on the way.

Sees:     the progress that the load shows, and the processes it consists of.
Promises: nothing of it is running when the block ends, whatever happened.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.bound import bound
from bench.usage import family, family_mb
from elsewhere.demo.processes import program

# What a load shows of its phases, in their order.
PHASES = ("reading rows", "tagging records", "grouping by child", "storing tags")
GONE_S = 30.0
_LOOKS_A_MEASUREMENT = 5
_ROOT = Path(__file__).resolve().parents[1]
_COLOURS = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class LoadProcess:
    """A load that runs, and what was seen of it so far."""

    process: subprocess.Popen[bytes]
    terminal: int  # the descriptor that its progress is read from
    rss_mb: float = 0.0  # the most so far, all processes; pages that they share count in each
    pss_mb: float = 0.0  # the most so far; a page that they share counts once
    began: dict[str, float] = field(default_factory=dict)  # when each phase was first seen
    stored: int = 0  # per cent of the tags
    shown: bytes = b""
    _looks: int = 0

    @property
    def tail(self) -> str:
        """The last of what it showed."""
        return _COLOURS.sub(b"", self.shown).decode("utf-8", "replace")[-500:]

    def look(self) -> bool:
        """Read its progress, and its memory every few times; False once it has ended."""
        with contextlib.suppress(BlockingIOError, OSError):  # nothing new, or everybody has closed it
            while data := os.read(self.terminal, 65_536):
                self.shown = (self.shown + data)[-20_000:]
        words = _COLOURS.sub(b"", self.shown).decode("utf-8", "replace")
        for phase in PHASES:
            if phase in words:
                self.began.setdefault(phase, time.monotonic())
        self.stored = max([0, *map(int, re.findall(r"storing tags[^%]*?(\d+)%", words))])
        if self._looks % _LOOKS_A_MEASUREMENT == 0:  # which keeps its processes waiting
            self.rss_mb = max(self.rss_mb, family_mb(self.process.pid, "Rss"))
            self.pss_mb = max(self.pss_mb, family_mb(self.process.pid))
        self._looks += 1
        return self.process.poll() is None

    def workers(self) -> list[int]:
        """The processes that derive and tag."""
        return [pid for pid in family(self.process.pid) if b"spawn_main" in _command(pid)]

    def kill(self, pid: int) -> None:
        """End one of its processes as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def load_process(node: Path, export: str, mapping: str) -> Iterator[LoadProcess]:
    """Start a load of a file of the node's folder."""
    words: Sequence[str] = (*program(), "node", "load", export, "--mapping", mapping, "--dir", str(node))
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "TERM": "xterm", "COLUMNS": "120"}
    try:
        process = subprocess.Popen(
            bound(words), cwd=node, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        load = LoadProcess(process, ours)
        try:
            yield load
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    finally:
        os.close(ours)


def left_of(session: int) -> int:
    """How many processes of a killed load are still there once they have had time to notice."""
    end = time.monotonic() + GONE_S
    while left := _in_session(session):
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return left


def _in_session(session: int) -> int:
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, of = stat.read_text("ascii", "replace").rsplit(")", 1)[1].split()[:4]
            found += of == str(session) and state != "Z"
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
