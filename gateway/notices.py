"""What can be fetched: the newest version of every cached catalogue, and what is still to be told.

Holds:    agency ids, collections, epochs and versions; nothing of a catalogue.
Promises: at most LIVE_EPOCHS epochs of a collection; an older one is dropped with what supersedes it.
"""

from __future__ import annotations

from collections.abc import Collection

from elsewhere.wire.v1 import directory_pb2, link_pb2
from gateway.store import CatalogueName

LIVE_EPOCHS = 2  # while members change over from one key to the next


def is_outlived(name: CatalogueName, by: CatalogueName) -> bool:
    """Tell whether a newer epoch of the same collection has put an epoch out of use."""
    is_same = (name.custodian, name.collection) == (by.custodian, by.collection)
    return is_same and name.epoch <= by.epoch - LIVE_EPOCHS


class Notices:
    """The newest versions, as they are shown to members."""

    def __init__(self) -> None:
        self._newest: dict[CatalogueName, int] = {}
        self._untold: set[CatalogueName] = set()

    def put(self, name: CatalogueName, version: int) -> None:
        """Take note that a version was cached, or that its key was granted to somebody more."""
        if version < self._newest.get(name, 1) or any(is_outlived(name, other) for other in self._newest):
            return
        for old in [other for other in self._newest if is_outlived(other, name)]:
            del self._newest[old]
            self._untold.discard(old)
        self._newest[name] = version
        self._untold.add(name)

    def drop(self, names: Collection[CatalogueName]) -> None:
        """Tell nobody of some catalogues any more."""
        for name in names:
            self._newest.pop(name, None)
            self._untold.discard(name)

    def repeat(self, custodians: Collection[str]) -> None:
        """Have everything of some custodians told again."""
        self._untold |= {name for name in self._newest if name.custodian in custodians}

    def all(self, active: Collection[str]) -> dict[CatalogueName, int]:
        """The newest version of each catalogue of these agencies."""
        return {name: version for name, version in self._newest.items() if name.custodian in active}

    def take_untold(self, active: Collection[str]) -> dict[CatalogueName, int]:
        """What of these agencies has changed since the last call."""
        untold, self._untold = self._untold, set()
        return {name: version for name, version in self.all(active).items() if name in untold}


def to_frame(newest: dict[CatalogueName, int]) -> link_pb2.AttachResponse:
    """Write notices as a frame, in a fixed order."""
    listed = sorted(newest.items(), key=lambda item: (item[0].custodian, item[0].collection, item[0].epoch))
    notices = [
        directory_pb2.CatalogueNotice(
            custodian=name.custodian, collection=name.collection, epoch=name.epoch, version=version
        )
        for name, version in listed
    ]
    return link_pb2.AttachResponse(notices=directory_pb2.CatalogueNotices(notices=notices))
