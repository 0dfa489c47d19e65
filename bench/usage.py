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


def family(pid: int) -> list[int]:
    """A process and all its children and theirs; those that have ended are left out."""
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text("ascii").split()
        ]
    except OSError:
        return []
    return [pid, *(one for child in children for one in family(child))]


def family_mb(pid: int, kind: str = "Pss") -> float:
    """Memory a process and all its children hold now, in MB; 0 if it has ended.

    Args:
        kind: "Pss" counts a page that several share once, "Rss" in each of them.
    """
    return sum(_held_mb(one, kind) for one in family(pid))


def _held_mb(pid: int, kind: str) -> float:
    try:
        return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), kind) * 1024 / 1e6
    except (OSError, LookupError):
        return 0.0


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
