"""What processes have used, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far, user and system, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Memory a process holds now, in MB, what it shares with others included."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmRSS") * 1024 / 1e6


def family_mb(pid: int) -> float:
    """Memory a process and all its children hold now, in MB, a shared page once; 0 if it has ended."""
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text("ascii").split()
        ]
        own = _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss") * 1024 / 1e6
    except (OSError, LookupError):
        return 0.0
    return own + sum(map(family_mb, children))


def _kilobytes(path: Path, name: str) -> int:
    for line in path.read_text("ascii", "replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


@dataclass(frozen=True, slots=True)
class Meter:
    """Processor time of several roles since it was made; a role is one or more processes."""

    roles: Mapping[str, tuple[int, ...]]
    began: Mapping[str, float]

    @classmethod
    def start(cls, roles: Mapping[str, Iterable[int]]) -> Meter:
        """Begin to count."""
        fixed = {role: tuple(pids) for role, pids in roles.items()}
        return cls(fixed, {role: sum(map(cpu_s, pids)) for role, pids in fixed.items()})

    def read(self) -> dict[str, float]:
        """Processor seconds of each role since."""
        return {role: sum(map(cpu_s, pids)) - self.began[role] for role, pids in self.roles.items()}
