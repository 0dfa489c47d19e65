"""The sign-in's keys as this node holds them: fetched in time, fetched again for a key not seen before.

Holds:    public keys.
Refuses:  every token once the keys have not been confirmed for too long: a key may have been withdrawn.
Promises: a stream of tokens with made-up key ids costs the sign-in one fetch in ten seconds; who shows a
          known key never waits for the sign-in; a fetch that hangs keeps nobody longer than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from elsewhere.clock import Clock
from elsewhere.identity import ProviderUnreachable, TokenInvalid
from node.desk.provider import PublicKey

LEAST_PAUSE: Final = timedelta(seconds=10)  # between two fetches
REFRESHED_AFTER: Final = timedelta(minutes=10)
PATIENCE_S: Final = 10.0  # of who waits for a fetch
_log = structlog.get_logger(__name__)

Fetch = Callable[[], Mapping[str, PublicKey]]


@dataclass(frozen=True, slots=True)
class Lives:
    """How long keys serve."""

    unconfirmed: timedelta  # since the last fetch that succeeded
    unlisted: timedelta  # since the first fetch in which one was missing


@dataclass(frozen=True, slots=True)
class _Held:
    key: PublicKey
    missing_since: datetime | None = None


class ProviderKeys:
    """One provider's keys. All calls on one event loop."""

    def __init__(self, fetch: Fetch, lives: Lives, clock: Clock) -> None:
        self._fetch, self._lives, self._clock = fetch, lives, clock
        self._held: dict[str, _Held] = {}
        self._confirmed: datetime | None = None
        self._tried: datetime | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> PublicKey:
        """Give the key of an id; "" where a token names none, for which there must be one key alone.

        Raises:
            ProviderUnreachable: nothing confirmed not long ago says which keys are good.
            TokenInvalid: the provider has no such key.
        """
        if not self._is_within(self._confirmed, REFRESHED_AFTER):
            self._begin()
        key = self._key(kid)
        if key is None:
            await self._wait_for_news()
            key = self._key(kid)
        if key is not None:
            return key
        # The last attempt failed, or is under way: that there is no such key is not known then.
        if self._confirmed is None or self._tried != self._confirmed:
            raise ProviderUnreachable(
                "expected the sign-in's keys; they cannot be fetched, and those held do not serve. "
                "The node's log says why"
            )
        raise TokenInvalid("expected a token signed with a key of your agency's sign-in; it is another key")

    def _key(self, kid: str) -> PublicKey | None:
        """A key that may be relied on now."""
        if not self._is_within(self._confirmed, self._lives.unconfirmed):
            return None
        if not kid:
            listed = [held.key for held in self._held.values() if held.missing_since is None]
            return listed[0] if len(listed) == 1 else None
        held = self._held.get(kid)
        if held is None:
            return None
        is_good = held.missing_since is None or self._is_within(held.missing_since, self._lives.unlisted)
        return held.key if is_good else None

    async def _wait_for_news(self) -> None:
        """Have the keys fetched, unless that was tried a moment ago, and wait for it."""
        fetching = self._begin()
        if fetching is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(fetching), PATIENCE_S)

    def _begin(self) -> asyncio.Task[None] | None:
        """Start a fetch; the one under way if there is one; None where one ended a moment ago."""
        if self._fetching is None:
            if self._is_within(self._tried, LEAST_PAUSE):
                return None
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._update(self._tried))
        return self._fetching

    async def _update(self, now: datetime) -> None:
        try:
            self._take(await asyncio.to_thread(self._fetch), now)
        except ProviderUnreachable as err:
            _log.warning("provider.unreachable", reason=str(err))
        finally:
            self._fetching = None

    def _take(self, listed: Mapping[str, PublicKey], now: datetime) -> None:
        """Hold what is listed now, and for a while what no longer is."""
        gone = {
            kid: _Held(held.key, held.missing_since or now)
            for kid, held in self._held.items()
            if kid not in listed
        }
        kept = {
            kid: held
            for kid, held in gone.items()
            if self._is_within(held.missing_since, self._lives.unlisted)
        }
        self._held = {**kept, **{kid: _Held(key) for kid, key in listed.items()}}
        self._confirmed = now

    def _is_within(self, moment: datetime | None, length: timedelta) -> bool:
        """Whether a moment was no longer ago; never one ahead of the clock, which may have been set back."""
        return moment is not None and timedelta(0) <= self._clock() - moment <= length
