"""A researcher's calls to the federation's gateways: one after the other until one answers.

Holds:    the TLS key on its way into gRPC.
Refuses:  a gateway that the federation's authority has not certified.
Promises: no call is retried at another gateway once one has answered, whatever it said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc

from elsewhere.errors import ElsewhereError, GatewayUnreachable
from elsewhere.wire.channel import CLIENT_OPTIONS
from elsewhere.wire.status import INTERNAL, code_of

CALL_S: Final = 15.0
T = TypeVar("T")


class GatewayRefused(ElsewhereError):
    """A gateway refused the call; `code` is its own word. Nothing was charged for it."""

    code = "gateway.refused"

    def __init__(self, code: str) -> None:
        super().__init__(f"the gateway refuses: {code}; docs/errors.md says what to do")
        self.code = code


@dataclass(frozen=True, slots=True)
class Gateways:
    """Where to call, and what to show."""

    addresses: Sequence[str]
    shown: grpc.ChannelCredentials

    def call(self, ask: Callable[[grpc.Channel], T]) -> T:
        """Have something asked of the first gateway that can be reached.

        Raises:
            GatewayUnreachable: none can.
            GatewayRefused: it answered with a refusal.
        """
        for address in self.addresses:
            with grpc.secure_channel(address, self.shown, options=CLIENT_OPTIONS) as channel:
                try:
                    with refusing():
                        return ask(channel)
                except GatewayUnreachable:
                    continue
        raise GatewayUnreachable(f"expected an answer of {', '.join(self.addresses)}; none came")


@contextmanager
def refusing() -> Iterator[None]:
    """Say what a failed call means; gRPC's own words, which name addresses, are left out."""
    try:
        yield
    except grpc.RpcError as err:
        code = code_of(err)
        if code == INTERNAL:
            raise GatewayUnreachable("expected the gateway to answer; the call broke off") from None
        raise GatewayRefused(code) from None
