"""The one name for a source of random bytes; programs hand `secrets.token_bytes` in, tests a fixed stream."""

from __future__ import annotations

from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
