"""Attached nodes: one standing stream a process, what waits to go down it, and since when an agency is away.

Holds:    frames not yet sent, in memory, bounded; for each agency a time of last contact.
Sees:     agency ids and frames with sealed parts; nothing here reads a seal.
Refuses:  more links of one agency than the operator allows; to keep a link that is silent for three beats or
          does not take what it is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from elsewhere.errors import ElsewhereError, LinkOutOfOrder, LinkReplaced, LinkSilent, LinkSlow
from elsewhere.wire.convert.link import MISSED_BEATS
from elsewhere.wire.status import LinksTaken
from elsewhere.wire.v1 import link_pb2
from gateway.notices import to_frame
from gateway.store import CatalogueName
from gateway.timing import Alarm, Timing

_RETIRING = "/"  # behind the name of a process: its link until another one has taken over


class Link:
    """One attached node. All calls are made on the event loop; nothing here blocks.

    Args:
        agency: whose node it is.
        capacity: frames that may wait before no more questions are handed on and nothing more is read.
        owed: outcomes that the lookups it may have under way can bring at one moment, as when a custodian
            of all of them leaves. Nothing is read meanwhile, so more than both together is a mistake.
        process: which of its agency's it is; empty for the only one.
    """

    def __init__(self, agency: str, *, capacity: int, owed: int, process: str = "") -> None:
        self.agency, self.process = agency, process
        self.at_hand = 0  # questions handed to it that it has not answered
        self.draining_since: datetime | None = None
        self.error: ElsewhereError | None = None
        self.is_ended = False
        self.heard = False  # anything since the last beat went out
        self._capacity, self._most = capacity, capacity + owed
        self._waiting: deque[link_pb2.AttachResponse] = deque()
        self._directory: link_pb2.AttachResponse | None = None
        self._newest: dict[CatalogueName, int] | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._last_beat = 0
        self._on_end: list[Callable[[], None]] = []
        self._pulse: Alarm | None = None

    def offer(self, frame: link_pb2.AttachResponse) -> bool:
        """Queue a frame unless the queue is full or the link ended; tells whether it was queued."""
        if self.is_ended or len(self._waiting) >= self._capacity:
            return False
        self._put(frame)
        return True

    def send(self, frame: link_pb2.AttachResponse) -> None:
        """Queue a frame that answers what the node asked; these are bounded by what it may ask at once."""
        if len(self._waiting) >= self._most:
            self.end(LinkSlow(f"expected {self.agency} to read its frames; {len(self._waiting)} wait"))
        elif not self.is_ended:
            self._put(frame)

    def show_directory(self, frame: link_pb2.AttachResponse) -> None:
        """Send the newest directory; one that has not gone out yet is replaced, not followed."""
        self._directory = frame
        self._news.set()

    def show_catalogues(self, newest: Mapping[CatalogueName, int]) -> None:
        """Send notices of catalogues, an empty frame of them too; those still to go out make one frame."""
        self._newest = {**(self._newest or {}), **newest}
        self._news.set()

    async def next_frame(self) -> link_pb2.AttachResponse | None:
        """Wait for the next frame to write; None once the link has ended."""
        while not self.is_ended:
            if self._waiting:
                frame = self._waiting.popleft()
                if len(self._waiting) < self._capacity:
                    self._room.set()
                return frame
            if self._directory is not None:
                frame, self._directory = self._directory, None
                return frame
            if self._newest is not None:
                newest, self._newest = self._newest, None
                return to_frame(newest)
            self._news.clear()
            await self._news.wait()
        return None

    @property
    def is_full(self) -> bool:
        """Whether as many frames wait as may."""
        return not self._room.is_set()

    async def has_room(self) -> None:
        """Wait until the peer has read enough: whoever does not read is not read from either."""
        if not self._room.is_set():
            await self._room.wait()

    def beat(self, sequence: int) -> None:
        """Take note of a beat; beats only go up."""
        if sequence <= self._last_beat:
            raise LinkOutOfOrder(f"expected a beat above {self._last_beat}, got {sequence}")
        self._last_beat = sequence

    def end(self, error: ElsewhereError | None) -> None:
        """End the link once; `error` is what the peer is told, None for a good end. Drops what waits."""
        if self.is_ended:
            return
        self.is_ended, self.error = True, error
        self._waiting.clear()
        self._directory = self._newest = None
        self._news.set()
        self._room.set()
        if self._pulse is not None:
            self._pulse.cancel()
        for call in self._on_end:
            call()

    def pulse(self, alarm: Alarm) -> None:
        """Keep the alarm of the next beat, to be cancelled with the link."""
        self._pulse = alarm

    def when_ended(self, call: Callable[[], None]) -> None:
        """Have something done at the end, whoever brings it about."""
        self._on_end.append(call)

    @property
    def waiting(self) -> int:
        """How many frames wait to be written."""
        return len(self._waiting)

    def _put(self, frame: link_pb2.AttachResponse) -> None:
        """Append and wake the writer."""
        self._waiting.append(frame)
        self._news.set()
        if len(self._waiting) >= self._capacity:
            self._room.clear()


@dataclass(frozen=True, slots=True)
class Absence:
    """Why an agency cannot be handed a question, and since when; None if that is not known."""

    is_announced: bool
    since_utc: datetime | None


class Links:
    """The links of every agency: one for each of its processes, told apart by the name that each gives.

    Args:
        timing: clocks and alarms.
        beat_ms: how often each side says that it is there.
        last_seen: when agencies were last attached, from before this gateway ran.
        left: called with each link that is gone, once it can be found here no more.
        most: links of one agency at once.
    """

    def __init__(
        self,
        timing: Timing,
        *,
        beat_ms: int,
        last_seen: Mapping[str, datetime],
        left: Callable[[Link], None],
        most: int = 1,
    ) -> None:
        self._timing, self._beat_s, self._most = timing, beat_ms / 1000, most
        self._links: dict[str, dict[str, Link]] = {}  # by agency and process, the oldest link first
        self._absent = {agency: Absence(False, since) for agency, since in last_seen.items()}
        self._left = left

    def attach(self, link: Link, *, takes_over: bool = False) -> None:
        """Make this the link of its agency's process and start its beat; an older one of that process ends.

        A process that comes back is believed at once: its machine may have died without a word, and nobody
        should have to wait until the silence of the old link is noticed.

        Args:
            link: not attached yet.
            takes_over: keep the older one for what is under way on it; it is handed no new question.

        Raises:
            LinksTaken: its agency has as many other processes attached as are allowed. Nothing was changed.
        """
        held = self._links.setdefault(link.agency, {})
        older = held.get(link.process)
        others = sum(not process.endswith(_RETIRING) for process in held) - (older is not None)
        if others >= self._most:
            raise LinksTaken(
                f"expected at most {self._most} processes of {link.agency}; so many are attached"
            )
        if older is not None and takes_over:
            self._retire(older)
            older = None
        held.pop(link.process, None)
        held[link.process] = link  # behind all others: it is the newest
        self._absent.pop(link.agency, None)
        link.when_ended(partial(self._detach, link))
        if older is not None:
            older.end(LinkReplaced(f"a newer link of the same process of {link.agency} took over"))
        self._schedule_beat(link, 1, 0)

    def _retire(self, link: Link) -> None:
        """Hand a link no new questions, under a name that no process has; one that was there already ends."""
        held = self._links[link.agency]
        del held[link.process]
        link.process += _RETIRING
        if (before := held.pop(link.process, None)) is not None:
            before.end(LinkReplaced(f"newer links of the same process of {link.agency} took over"))
        held[link.process] = link
        self.drain(link, draining=True)

    def get(self, agency: str) -> Link | None:
        """The agency's newest live link, drained or not; None when it has none."""
        return next(reversed(self._links.get(agency, {}).values()), None)

    def all(self) -> tuple[Link, ...]:
        """Every live link."""
        return tuple(link for held in self._links.values() for link in held.values())

    def for_question(self, agency: str, *, not_new: bool) -> list[Link]:
        """The links that a question may go down, the one with least at hand first.

        Args:
            agency: who is asked.
            not_new: also a link whose process announced a drain, after the others: it finishes what it has.
        """
        found = [
            link
            for link in self._links.get(agency, {}).values()
            if not link.is_ended and (not_new or link.draining_since is None)
        ]
        if len(found) > 1:
            found.sort(key=lambda link: (link.draining_since is not None, link.at_hand))
        return found

    def absence(self, agency: str) -> Absence | None:
        """Why the agency takes no new questions now; None when one of its processes does."""
        held = self._links.get(agency)
        if not held:
            return self._absent.get(agency, Absence(False, None))
        drained = [link.draining_since for link in held.values() if link.draining_since is not None]
        return Absence(True, max(drained)) if len(drained) == len(held) else None

    def drain(self, link: Link, *, draining: bool) -> None:
        """Take note that a process will take no new questions, or will again."""
        if not draining:
            link.draining_since = None
        elif link.draining_since is None:
            link.draining_since = self._timing.utc_now()

    def end_all(self, error: ElsewhereError, *, agencies: Iterable[str] | None = None) -> None:
        """End all links, or those of some agencies."""
        for agency in tuple(self._links) if agencies is None else agencies:
            for link in tuple(self._links.get(agency, {}).values()):
                link.end(error)

    def _detach(self, link: Link) -> None:
        """Take a link out, and remember since when the agency is away if it was the last."""
        held = self._links.get(link.agency, {})
        if held.get(link.process) is link:
            del held[link.process]
            if not held:
                del self._links[link.agency]
                since = link.draining_since or self._timing.utc_now()
                self._absent[link.agency] = Absence(link.draining_since is not None, since)
        self._left(link)

    def _schedule_beat(self, link: Link, sequence: int, missed: int) -> None:
        """Beat once a period and count the periods in which nothing was heard."""
        alarm = self._timing.later(self._beat_s, partial(self._beat, link, sequence, missed))
        link.pulse(alarm)

    def _beat(self, link: Link, sequence: int, missed: int) -> None:
        """Send one beat; end a link that let three periods pass in silence."""
        if link.is_ended:
            return
        missed = 0 if link.heard else missed + 1
        link.heard = False
        if missed >= MISSED_BEATS:
            link.end(LinkSilent(f"expected beats from {link.agency}; {missed} did not come"))
            return
        link.offer(link_pb2.AttachResponse(beat=link_pb2.Beat(sequence=sequence)))
        self._schedule_beat(link, sequence + 1, missed)
