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
    """Memory a process holds now, in MB."""
    return _status(pid, "VmRSS")


def peak_rss_mb(pid: int) -> float:
    """The most memory a process has held, in MB."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
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
