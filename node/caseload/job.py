"""What every load works with, whatever it loads: store, keys, time and a folder."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from node.caseload.tagkeys import TagKeys
from node.store.engine import Store


@dataclass(frozen=True, slots=True)
class LoadJob:
    """Everything a load needs beside the export and its mapping."""

    store: Store
    keys: TagKeys  # read once nobody else can load
    now: datetime.datetime  # aware
    work: Path  # an existing folder of the node's own, for the right to load and for spilled tags
    exported: datetime.datetime | None = None  # when the export was made; None: as the export itself says
    allow_fewer: bool = False  # load though over half of the records held, or a field of them, would be gone
    is_fresh: bool = False  # make all tags anew, those too that a killed load had made
    workers: int = 0  # processes; 0: one a core
