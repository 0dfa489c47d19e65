"""The sources of a node: what the store holds of each, what it waits for, and what is loaded again by itself.

Sees:     counts and times; no person.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from node.caseload.index import source_states
from node.caseload.remembered import read_remembered
from node.config import load_config
from node.owning import open_own
from node.storemark import follow, read_mark


@dataclass(frozen=True, slots=True)
class Standing:
    """One source."""

    name: str
    records: int  # that its newest load brought into force
    made_utc: datetime | None  # its export; None: nothing of it is in force
    loaded_utc: datetime | None
    max_age_days: int  # 0: no bound
    is_awaited: bool  # to be loaded again, after a set-back of the store
    is_remembered: bool  # loaded again by `node reload`

    def is_old(self, now: datetime) -> bool:
        """Whether it is older than its mapping permits; answers then say so."""
        days = (now - self.made_utc).days if self.made_utc is not None else 0
        return 0 < self.max_age_days < days


def standing_sources(folder: Path) -> list[Standing]:
    """Give every source of a node, by name: in force, awaited or remembered.

    Raises: as `open_own` and `load_config`; StateDamaged; ConfigInvalid.
    """
    remembered = {one.name for one in read_remembered(folder)}
    with open_own(load_config(folder)) as store, store.read() as conn:
        states = source_states(conn)
        awaited = follow(read_mark(folder), conn).awaited or {}
    found = []
    for name in sorted({*states, *awaited, *remembered}):
        state = states.get(name)
        found.append(
            Standing(
                name=name,
                records=state.rows if state else 0,
                made_utc=datetime.fromtimestamp(state.read_utc, UTC) if state else None,
                loaded_utc=datetime.fromtimestamp(state.loaded_utc, UTC) if state else None,
                max_age_days=state.max_age_days if state else 0,
                is_awaited=name in awaited,
                is_remembered=name in remembered,
            )
        )
    return found
