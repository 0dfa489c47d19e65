"""A set of short tags that answers "is this one in it?" in microseconds.

Holds:    64-bit numbers that mean nothing without the custodian's live key.
Refuses:  arrays of another type, unsorted or repeating; bytes that are not whole tags.

On the wire, on disk and in digests a set is its short tags as 8 bytes each, big-endian, ascending: that is,
the first 8 bytes of each tag, sorted as byte strings. In memory it is an array of native numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from elsewhere.errors import CatalogueBroken

ShortTags: TypeAlias = npt.NDArray[np.uint64]

SHORT_TAG_SIZE = 8
_BIG_ENDIAN = np.dtype(">u8")


def short_tags(tags: Sequence[bytes]) -> ShortTags:
    """Cut full tags to short ones, in the same order.

    Raises:
        ValueError: a tag has fewer than 8 bytes.
    """
    if any(len(tag) < SHORT_TAG_SIZE for tag in tags):
        raise ValueError(f"a tag has at least {SHORT_TAG_SIZE} bytes")
    return from_bytes(b"".join(tag[:SHORT_TAG_SIZE] for tag in tags))


def to_bytes(tags: ShortTags) -> bytes:
    """Write short tags in their order, 8 bytes each, big-endian."""
    return tags.astype(_BIG_ENDIAN).tobytes()


def from_bytes(data: bytes | bytearray | memoryview) -> ShortTags:
    """Read what `to_bytes` wrote, into an array of its own.

    Raises:
        CatalogueBroken: not a whole number of tags.
    """
    if len(data) % SHORT_TAG_SIZE:
        raise CatalogueBroken(f"expected whole tags of {SHORT_TAG_SIZE} bytes; {len(data)} bytes came")
    return np.frombuffer(data, dtype=_BIG_ENDIAN).astype(np.uint64)


def is_ascending(tags: ShortTags) -> bool:
    """Tell whether every tag is greater than the one before it."""
    return bool(np.all(tags[1:] > tags[:-1]))


def as_set(tags: ShortTags) -> ShortTags:
    """Sort tags and drop repeats; an array already so is returned as it is."""
    return tags if is_ascending(tags) else np.unique(tags)


def check_set(tags: ShortTags) -> None:
    """Check that an array is a set as this module means it: native 64-bit numbers, ascending.

    Raises:
        CatalogueBroken: unsorted or repeating, so that a search in it would miss what it holds.
    """
    if tags.dtype != np.uint64 or tags.ndim != 1:
        raise TypeError("short tags are a flat array of uint64")
    if not is_ascending(tags):
        raise CatalogueBroken("expected short tags in ascending order, each once")


def contains(tags: ShortTags, needles: ShortTags) -> npt.NDArray[np.bool_]:
    """Tell of each needle whether an ascending array holds it."""
    if needles.dtype != np.uint64:
        # Signed needles would make numpy convert the whole array: half a second where microseconds do.
        raise TypeError("needles are uint64")
    if not len(tags):
        return np.zeros(len(needles), dtype=np.bool_)
    places = np.searchsorted(tags, needles)
    np.minimum(places, len(tags) - 1, out=places)
    found: npt.NDArray[np.bool_] = tags[places] == needles
    return found


def union(tags: ShortTags, added: ShortTags) -> ShortTags:
    """Join two ascending arrays, the second one small, without sorting the first again."""
    new = added[~contains(tags, added)]
    return np.insert(tags, np.searchsorted(tags, new), new) if len(new) else tags


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """One version of a custodian's catalogue: a big sorted array, memory-mapped perhaps, and a small overlay.

    A value never changes: a delta gives a new one, so threads may keep asking the old one meanwhile.
    """

    base: ShortTags = field(repr=False)
    overlay: ShortTags = field(repr=False, default_factory=lambda: np.zeros(0, dtype=np.uint64))
    base_checked: InitVar[bool] = False  # true only for a base that another catalogue already holds

    def __post_init__(self, base_checked: bool) -> None:
        if not base_checked:
            check_set(self.base)
        check_set(self.overlay)
        for name in ("base", "overlay"):
            fixed = getattr(self, name).view()
            fixed.flags.writeable = False
            object.__setattr__(self, name, fixed)

    def __len__(self) -> int:
        return len(self.base) + len(self.overlay)

    def contains(self, needles: ShortTags) -> npt.NDArray[np.bool_]:
        """Tell of each short tag, in order, whether the catalogue holds it."""
        found = contains(self.base, needles)
        return found | contains(self.overlay, needles) if len(self.overlay) else found

    def contains_each(self, needles: ShortTags) -> list[bool]:
        """As `contains`, for callers without numpy of their own."""
        found: list[bool] = self.contains(needles).tolist()
        return found

    def with_delta(self, delta: ShortTags) -> Catalogue:
        """Give the next version: this one and the tags of an ascending delta.

        Raises:
            CatalogueBroken: the delta is unsorted or repeats a tag.
        """
        check_set(delta)
        overlay = union(self.overlay, delta[~contains(self.base, delta)])
        return Catalogue(self.base, overlay, base_checked=True)

    def merge(self) -> ShortTags:
        """Give the whole set as one ascending array; the base itself where there is no overlay."""
        return union(self.base, self.overlay)
