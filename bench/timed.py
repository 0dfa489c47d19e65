"""`python -m bench.timed node run --dir X`: the node as it is, which notes when second answers reach it.

Promises: nothing but one line a lookup in `outcomes.log` of the node's folder: its id as the link knows it,
          and the time on the machine's steady clock when the first second-round outcome was read.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from elsewhere.cli.main import main
from elsewhere.wire.convert.link import check_from_gateway
from elsewhere.wire.v1 import link_pb2
from node.links import link

FILE = "outcomes.log"


def note_outcomes(path: Path) -> None:
    """Have this process note outcomes; the node itself has no such switch."""
    seen: set[bytes] = set()
    file = path.open("w", buffering=1, encoding="ascii")

    def note(frame: link_pb2.AttachResponse) -> None:
        at = time.monotonic()
        check_from_gateway(frame)
        if frame.WhichOneof("frame") == "outcome" and frame.outcome.round == 2:
            ask_id = frame.outcome.ask_id
            if ask_id not in seen:
                seen.add(ask_id)
                file.write(f"{ask_id.hex()} {at!r}\n")

    vars(link)[check_from_gateway.__name__] = note


def read_outcomes(path: Path) -> dict[str, float]:
    """When the first second answer of each lookup came."""
    rows = (line.split() for line in path.read_text("ascii").splitlines())
    return {row[0]: float(row[1]) for row in rows}


if __name__ == "__main__":
    note_outcomes(Path(sys.argv[sys.argv.index("--dir") + 1]) / FILE)
    main()
