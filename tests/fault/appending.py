"""A process that appends to a log as fast as it can, and says so of each entry once it is durable.

Run as `python -m tests.fault.appending STORE_URL` until it is killed. Prints each entry's number and leaf on
a line: what an answer would have left with.
"""

from __future__ import annotations

import secrets
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from sqlalchemy import Connection

from node.ledger import book
from node.store.engine import open_store
from node.store.writer import Writer

AT_ONCE = 8


def main(url: str) -> None:
    writer = Writer(open_store(url))

    def append_on_and_on(_: int) -> None:
        while True:
            entry = book.make_entry("answered", {"said": secrets.token_hex(64)}, datetime.now(UTC))

            def change(connection: Connection, entry: book.Entry = entry) -> int:
                return book.append(connection, entry).index + 1

            number = writer.submit(change).result()
            # One write of one line: a process that is killed leaves no half of two.
            sys.stdout.write(f"{number} {entry.digest.hex()}\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(append_on_and_on, range(AT_ONCE)))


if __name__ == "__main__":
    main(sys.argv[1])
