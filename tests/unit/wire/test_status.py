"""Errors across the hop: the code and nothing else."""

from __future__ import annotations

import grpc
import pytest

from elsewhere.errors import ElsewhereError, FrameMalformed, NotActive
from elsewhere.wire.status import code_of, to_status


class Failed(grpc.RpcError):
    """A failed call as gRPC raises it."""

    def __init__(self, details: str | None) -> None:
        self._details = details

    def details(self) -> str | None:
        return self._details


def test_only_the_code_of_an_error_goes_over() -> None:
    assert to_status(NotActive("police", "revoked")) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "roster.not_active",
    )
    assert to_status(FrameMalformed("sealed", "expected 1 byte")) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "frame.malformed",
    )


def test_a_mistake_of_our_own_shows_nothing() -> None:
    assert to_status(ElsewhereError("a path, a name")) == (grpc.StatusCode.UNKNOWN, "internal")


@pytest.mark.parametrize(
    ("details", "code"),
    [
        ("roster.not_active", "roster.not_active"),
        ("Connection refused", "internal"),
        (None, "internal"),
        ("", "internal"),
    ],
)
def test_a_code_is_read_back_only_if_it_is_ours(details: str | None, code: str) -> None:
    assert code_of(Failed(details)) == code


def test_an_error_without_details_is_internal() -> None:
    assert code_of(grpc.RpcError()) == "internal"
