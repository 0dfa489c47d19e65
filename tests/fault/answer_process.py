"""Run by test_many_processes.py: one process of a node that answers what comes on its standard input.

Usage: answer_process.py FOLDER PROCESS

Each message is four bytes of length and a Dispatch; each that goes out, the same with a Reply. There is no
gateway, so that a test can send the same question to several processes at once.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from secrets import token_bytes

from elsewhere.wire.v1 import link_pb2
from node.config import load_config
from node.program import Node
from node.running import utc_now

BATCH = 1 << 20


async def main() -> None:
    """Answer until the input ends; what is answered is durable before it leaves, as ever."""
    folder, process = sys.argv[1:]
    node = Node(load_config(Path(folder)), clock=utc_now, random=token_bytes, process=process)
    coming = asyncio.StreamReader(limit=BATCH)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(coming), sys.stdin
    )
    working: set[asyncio.Task[None]] = set()

    async def answer(data: bytes) -> None:
        reply = await node.answering.handle(link_pb2.Dispatch.FromString(data))
        said = (reply or link_pb2.Reply()).SerializeToString()
        sys.stdout.buffer.write(len(said).to_bytes(4) + said)
        sys.stdout.buffer.flush()

    while True:
        try:
            data = await coming.readexactly(int.from_bytes(await coming.readexactly(4)))
        except asyncio.IncompleteReadError:
            break
        working.add(task := asyncio.create_task(answer(data)))
        task.add_done_callback(working.discard)
    await asyncio.gather(*working)
    node._pool.shutdown()
    node._writer.close()
    node._store.close()


if __name__ == "__main__":
    # The log goes to standard error, as the program's does.
    from node.logs import configure

    configure()
    asyncio.run(main())
