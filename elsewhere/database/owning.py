"""That a store has one owner: a gateway, or the node of one agency."""

from __future__ import annotations

from elsewhere.errors import ElsewhereError


class StoreTaken(ElsewhereError):
    """The store is another gateway's, or another agency's node's. Nothing was changed."""

    code = "store.taken"
