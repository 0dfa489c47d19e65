"""Takes part in studies until it is killed, and says each share that it has released: query, SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path

from elsewhere.research.query import query_id
from tests.unit.node.study_world import make_world, signed

SIGMA = 500.0  # so that no cap is reached, and no query costs too little


async def take_part(root: Path) -> None:
    """Prepare and commit again and again; each share is asked for twice."""
    world = make_world(root)
    while True:
        envelope = signed(world.query(sigma=SIGMA))
        prepared = await world.prepare(envelope)
        for _ in range(2):
            share = await world.commit("social", envelope, prepared)
            sys.stdout.write(f"{query_id(envelope).hex()} {hashlib.sha256(share).hexdigest()}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(take_part(Path(sys.argv[1])))
