"""`python -m bench.linkage`: measure how well the match keys find a child and leave others alone.

Options: --held 50000 --questions 20000 --seed 1; --of development, test, population, cultures, files
(several); --febrl FOLDER for the CSV files of export_febrl.py; --numbers to keep NHS and pupil numbers;
--tables for cultures, differences and rules; --ablation for what families of rules bring in each culture.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from bench.linkage import ablation, kinds, report
from bench.linkage.cases import DataSet
from bench.linkage.score import ask, shelve
from elsewhere.matchkeys import current_key_set, version

_KINDS = ("development", "test", "population", "cultures", "files")


def main() -> None:
    """Measure and print the tables."""
    wishes = _wishes()
    results = []
    for data in _data_sets(wishes):
        data = data if wishes.numbers else data.without_numbers()
        shelf = shelve(data.held, current_key_set())
        result = ask(shelf, data)
        results.append(result)
        if wishes.tables:
            for table in (report.cultures, report.errors, report.ablation):
                print(*table(result), sep="\n", flush=True)
        if wishes.ablation:
            print(*ablation.table(data, shelf, result), sep="\n", flush=True)
    print(f"\nmatch keys version {version()}, seed {wishes.seed}\n")
    print(*report.summary(results), sep="\n")


def _data_sets(wishes: argparse.Namespace) -> Iterator[DataSet]:
    size = (wishes.held, wishes.questions, wishes.seed)
    if "development" in wishes.of:
        yield from kinds.development(*size)
    if "test" in wishes.of:
        yield from kinds.test(*size)
    if "population" in wishes.of:
        yield from kinds.population(*size)
    if "cultures" in wishes.of:
        yield kinds.even(*size)
    if "files" in wishes.of:
        yield from kinds.files(Path(wishes.febrl))


def _wishes() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.linkage")
    parser.add_argument("--held", type=int, default=50_000)
    parser.add_argument("--questions", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--of", nargs="+", choices=_KINDS, default=["test"])
    parser.add_argument("--febrl", default="build/febrl")
    parser.add_argument("--numbers", action="store_true")
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--ablation", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
