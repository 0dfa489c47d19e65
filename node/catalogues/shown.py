"""What a gateway can show of this agency's own catalogue: proof where its notice is a bare word.

Sees:     statements that this node signed, and versions; no tag.
Promises: only what this node's own signature stands under counts, so no gateway takes a node down by a lie.
"""

from __future__ import annotations

import asyncio
from typing import Final

from elsewhere.errors import PieceMissing
from elsewhere.wire.v1 import catalogue_pb2, catalogue_pb2_grpc
from node.catalogues.own import OwnCatalogue
from node.links.calls import CallBroke, breaking

SILENCE_S: Final = 10.0


async def shows_another(
    stub: catalogue_pb2_grpc.CatalogueServiceAsyncStub, own: OwnCatalogue, version: int
) -> bool:
    """Tell whether a gateway shows a version that this node signed and its store does not know so.

    Args:
        own: with a state.
        version: the newest that the gateway says it has.

    Raises:
        CallBroke: it does not answer.
    """
    if own.state is None:
        return False
    collection, epoch = own.name
    request = catalogue_pb2.FetchRequest(
        custodian=own.agency,
        collection=collection,
        epoch=epoch,
        held_version=min(version - 1, own.state.newest.version),
    )
    with breaking():
        call = stub.Fetch(request)
    try:
        with breaking():
            message = await asyncio.wait_for(call.read(), SILENCE_S)
        if not isinstance(message, catalogue_pb2.FetchResponse):
            return False  # the end of the stream
        return own.is_other_than_made(message.piece.statement)  # empty in what is no piece
    except CallBroke as err:
        if err.code != PieceMissing.code:
            raise
        return False
    finally:
        call.cancel()
