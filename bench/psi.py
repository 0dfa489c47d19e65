"""Beside openmined-psi: 8 elements against a million items, in an environment of its own.

Promises: nothing of it is installed beside this program; where that cannot be, the figure says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from bench.federation import CACHE
from bench.figures import Figure

_PACKAGE = "openmined-psi"
_INSTALL_S = 180.0
_RUN_S = 900.0
_WORK = """
import json, sys, time
import private_set_intersection.python as psi
items, asked = int(sys.argv[1]), 8
client = psi.client.CreateWithNewKey(False)
server = psi.server.CreateWithNewKey(False)
began = time.process_time()
setup = server.CreateSetupMessage(1e-9, asked, [f"item {n}" for n in range(items)], psi.DataStructure.GCS)
ready = time.process_time()
request = client.CreateRequest([f"item {n}" for n in range(asked)])
answer = server.ProcessRequest(request)
client.GetIntersection(setup, answer)
print(json.dumps([ready - began, time.process_time() - ready]))
"""


def measure(items: int, our_cpu_ms: float | None, say: Callable[[str], None]) -> list[Figure]:
    """Run it with so many items; `our_cpu_ms` is a whole lookup of ours with one custodian, if measured."""
    python = CACHE.absolute() / "psi" / "bin" / "python"
    say(f"installing {_PACKAGE} into an environment of its own")
    try:
        if not python.exists():
            subprocess.run(
                [sys.executable, "-m", "venv", str(python.parents[1])], check=True, timeout=_INSTALL_S
            )
        pip = [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", _PACKAGE]
        subprocess.run(pip, check=True, timeout=_INSTALL_S, capture_output=True)
        done = subprocess.run(
            [str(python), "-c", _WORK, str(items)], check=True, timeout=_RUN_S, capture_output=True, text=True
        )
    except (subprocess.SubprocessError, OSError) as err:
        reason = f"{_PACKAGE} did not install or run here ({type(err).__name__}): not compared"
        return [Figure("psi", "CPU of openmined-psi (GCS), 8 elements", 0, "ms", note=reason)]
    setup_s, cpu_s = json.loads(done.stdout)
    note = f"8 elements against {items:,} items, after {setup_s:.0f} s of set-up; no policy, no proof, no log"
    theirs = 1e3 * cpu_s
    figures = [Figure("psi", "CPU of openmined-psi (GCS), 8 elements", theirs, "ms", note=note)]
    if our_cpu_ms is not None:
        ours = our_cpu_ms / 40
        figures.append(
            Figure("psi", "our CPU per element, whole path, one custodian", ours, "ms", None, theirs / 8)
        )
    return figures
