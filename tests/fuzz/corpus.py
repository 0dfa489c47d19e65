"""The small corpus kept beside the parsers: cases that reached code which no smaller case reached.

One file a parser, one case a line, base64. Every test run tries them again.
"""

from __future__ import annotations

import base64
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
MOST_CASES = 40
MOST_BYTES = 1024


def kept(name: str) -> list[bytes]:
    """Give the cases kept of one parser, none for a parser without a corpus."""
    path = FOLDER / f"{name}.txt"
    return [base64.b64decode(line) for line in path.read_text("ascii").split()] if path.exists() else []


def keep(name: str, found: Path) -> None:
    """Keep the smallest cases of a folder beside those kept before, in an order that does not wander."""
    cases = {path.read_bytes() for path in found.iterdir() if path.stat().st_size <= MOST_BYTES}
    chosen = sorted(cases - {b""}, key=lambda case: (len(case), case))[:MOST_CASES]
    FOLDER.mkdir(exist_ok=True)
    lines = "".join(base64.b64encode(case).decode("ascii") + "\n" for case in chosen)
    (FOLDER / f"{name}.txt").write_text(lines, "ascii")
