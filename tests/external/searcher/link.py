"""The one standing stream to the gateway, and the calls beside it.

Source:   docs/protocol.md "Transport", "Link"; link.proto.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc

from searcher.agency import Admission, Agency
from searcher.refusal import Refusal, require
from searcher.wire import PACKAGE, Wire

PATIENCE_S = 20.0


class Link:
    """Attached from `attach` to `close`: beats by itself and answers no question."""

    def __init__(self, wire: Wire, agency: Agency, admission: Admission, gateway: str) -> None:
        self._wire = wire
        credentials = grpc.ssl_channel_credentials(
            admission.tls_ca_pem, agency.tls_key_pem, admission.certificate_pem
        )
        options = [
            ("grpc.enable_retries", 0),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.max_receive_message_length", 16_777_216),
        ]
        self._channel = grpc.secure_channel(gateway, credentials, options)
        self._out: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._in: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ended = threading.Event()

    def attach(self) -> Any:
        """Say hello; return the first Directory."""
        call = self._channel.stream_stream(
            f"/{PACKAGE}.LinkService/Attach",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=self._wire.AttachResponse.FromString,
        )
        hello = self._wire.Hello(protocol_min=1, protocol_max=1, sent_ms=int(time.time() * 1000))
        self.send(hello=hello)
        frames = call(iter(self._out.get, None))
        threading.Thread(target=self._read, args=(frames,), daemon=True).start()
        welcome = self.next_frame(PATIENCE_S)
        require(welcome.WhichOneof("frame") == "welcome", "link.order", "a welcome")
        require(welcome.welcome.protocol_version == 1, "link.version", "version 1")
        threading.Thread(target=self._beat, args=(welcome.welcome.beat_ms / 1000,), daemon=True).start()
        first = self.next_frame(PATIENCE_S)
        require(first.WhichOneof("frame") == "directory", "link.order", "a directory")
        return first.directory

    def send(self, **frame: Any) -> None:
        """Send one frame, named by its kind."""
        self._out.put(self._wire.AttachRequest(**frame))

    def _read(self, frames: Iterator[Any]) -> None:
        """Pass frames on; beats and unknown frames end here, questions are turned away."""
        try:
            for frame in frames:
                kind = frame.WhichOneof("frame")
                if kind == "dispatch":
                    self.send(reply=self._wire.Reply(route=frame.dispatch.route, refused=True))
                elif kind in ("welcome", "directory", "outcome"):
                    self._in.put(frame)
        except grpc.RpcError as error:
            self._in.put(Refusal(error.details() or "link.ended", "the link to stand"))
        finally:
            self._ended.set()

    def _beat(self, pause_s: float) -> None:
        sequence = 1
        while not self._ended.wait(pause_s):
            self.send(beat=self._wire.Beat(sequence=sequence))
            sequence += 1

    def next_frame(self, within_s: float) -> Any:
        """The next frame that matters; TimeoutError if none comes in time."""
        try:
            frame = self._in.get(timeout=within_s)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(frame, Refusal):
            raise frame
        return frame

    def publish_statement(self, statement: bytes) -> None:
        call = self._channel.unary_unary(
            f"/{PACKAGE}.DirectoryService/PublishStatement",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=self._wire.PublishStatementResponse.FromString,
        )
        call(self._wire.PublishStatementRequest(statement=statement), timeout=PATIENCE_S)

    def fetch(self, **wanted: Any) -> Iterator[Any]:
        """Stream what brings a catalogue up to date; Refusal `catalogue.missing` if there is nothing."""
        call = self._channel.unary_stream(
            f"/{PACKAGE}.CatalogueService/Fetch",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=self._wire.FetchResponse.FromString,
        )
        try:
            yield from call(self._wire.FetchRequest(**wanted), timeout=PATIENCE_S)
        except grpc.RpcError as error:
            raise Refusal(error.details() or "catalogue.broken", "a catalogue") from None

    def close(self) -> None:
        self._out.put(None)
        self._channel.close()
        self._ended.set()
