"""`python -m bench.bound COMMAND ...`: become that command, which the kernel ends when its parent ends.

Promises: a benchmark that is killed, even by SIGKILL, leaves none of the processes that it started. What
          those have started in turn ends with them, as it does when a node or a load is killed.
Source:   prctl(2), PR_SET_PDEATHSIG: it outlasts execve(2), and is sent when the parent's thread ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def bound(words: Sequence[str]) -> tuple[str, ...]:
    """Give the words that start a command so; start it from the main thread, which ends last."""
    return (sys.executable, "-P", "-m", "bench.bound", str(os.getpid()), *words)


def main() -> None:
    """Ask the kernel for the signal, and become the command."""
    parent, words = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it ended before it could be asked about
        sys.exit(1)
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
