"""What a program that holds keys does first: leave no copy of its memory, and no file that others can read.

Promises: no core file holds keys or questions; what the process makes from then on is its own account's; the
          Python processes that it starts import nothing from the current folder.
Source:   core(5), getrlimit(2), umask(2); Python, "Command line and environment", -P and PYTHONSAFEPATH.

Another process of the same account, or root, can still read the memory: an account of its own for each node.
"""

from __future__ import annotations

import os
import resource
from typing import Final

OWNER_ONLY: Final = 0o077
# Linux ignores a limit of 0 where cores go to a program instead of a file. 1 is what it sets for such a
# program itself, and never dumps; it is too little for a file as well.
NO_CORE: Final = 1


def harden() -> None:
    """Harden this process, for good; a program calls it before it reads a key."""
    os.umask(OWNER_ONLY)
    # Python looks for modules in the current folder first, where anybody's `random.py` may lie.
    os.environ["PYTHONSAFEPATH"] = "1"
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    limit = NO_CORE if most == resource.RLIM_INFINITY else min(NO_CORE, most)
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
