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
from elsewhere.lookup import SLOTS

_PACKAGE = "openmined-psi"
_INSTALL_S = 180.0
_RUN_S = 900.0
_WORK = """
import json, sys, time
import private_set_intersection.python as psi
items, asked = int(sys.argv[1]), int(sys.argv[2])
client = psi.client.CreateWithNewKey(True)
server = psi.server.CreateWithNewKey(True)
began = time.process_time()
setup = server.CreateSetupMessage(1e-9, asked, [f"item {n}" for n in range(items)], psi.DataStructure.GCS)
ready = time.process_time()
request = client.CreateRequest([f"item {n}" for n in range(asked)])
answer = server.ProcessRequest(request)
client.GetIntersection(setup, answer)
print(json.dumps([ready - began, time.process_time() - ready]))
"""


ASKED = 8
THEIRS = f"CPU of openmined-psi (GCS), {ASKED} elements"


def measure(items: int, say: Callable[[str], None]) -> list[Figure]:
    """Run it with so many items on the server's side."""
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
            [str(python), "-c", _WORK, str(items), str(ASKED)],
            check=True,
            timeout=_RUN_S,
            capture_output=True,
            text=True,
        )
    except (subprocess.SubprocessError, OSError) as err:
        reason = f"{_PACKAGE} did not install or run here ({type(err).__name__}): not compared"
        return [Figure("psi", f"{THEIRS}: not measured", 0, "ms", note=reason)]
    setup_s, cpu_s = json.loads(done.stdout)
    note = f"{ASKED} elements against {items:,} items; no link, no policy, no proof of the key, no log"
    return [
        Figure("psi", "set-up of openmined-psi, CPU", setup_s, "s"),
        Figure("psi", THEIRS, 1e3 * cpu_s, "ms", note=note),
    ]


def compare(theirs: Figure, ours: Figure) -> Figure:
    """Our processor time an element, the whole path with one custodian, beside theirs."""
    note = f"{ours.value:.1f} ms for {SLOTS} elements: links, sealing, policy, proof of the key, log and all"
    each = theirs.value / ASKED
    return Figure("psi", "our CPU an element, whole path", ours.value / SLOTS, "ms", None, each, note=note)
