"""Runs one parser under coverage guidance: mutations that reach new code are kept and mutated further.

Promises: the same seed gives the same cases. Ends with an error at the first case that is neither accepted
          nor refused, that takes half a minute, or with which the process outgrows a gigabyte.
Source:   atheris, which drives libFuzzer.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

MOST_BYTES = 16 * 1024
SLOWEST_S = 30  # of the clock on the wall, whatever else the machine does meanwhile
MOST_MB = 1024
# What is reached through many parsers is watched in the one that is about it, as watching takes time.
_WATCHED_IN = {"elsewhere.canonical": "canonical_json", "elsewhere.keyparts": "person_file"}


def fuzz(name: str, *, cases: int, seed: int, corpus: Path) -> None:
    """Run cases of one parser and never return: libFuzzer ends the process, with 0 if nothing was found.

    Args:
        name: of a parser in `tests.fuzz.parsers`.
        corpus: a folder of cases to begin with; what reaches new code is added to it.
    """
    with atheris.instrument_imports(include=["elsewhere", "node", "gateway"], exclude=_passed_through(name)):
        from tests.fuzz.parsers import all_parsers
    parser = next(parser for parser in all_parsers() if parser.name == name)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        draw = random.Random(number)
        base = data if draw.random() < 0.8 else draw.choice(parser.seeds)
        return parser.mutate(base, draw)[:most]

    for number, example in enumerate(parser.seeds):
        (corpus / f"seed-{number}").write_bytes(example)
    flags = [f"-runs={cases}", f"-seed={seed}", f"-max_len={MOST_BYTES}", f"-timeout={SLOWEST_S}"]
    flags += [
        f"-rss_limit_mb={MOST_MB}",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-artifact_prefix={corpus}-",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], parser.accepts, custom_mutator=mutate)
    atheris.Fuzz()


def _passed_through(name: str) -> list[str]:
    return [module for module, parser in _WATCHED_IN.items() if parser != name]


if __name__ == "__main__":
    fuzz(sys.argv[1], cases=int(sys.argv[2]), seed=int(sys.argv[3]), corpus=Path(sys.argv[4]))
