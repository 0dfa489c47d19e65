"""Join a federation, or ask about children; everything is printed as JSON.

python -m searcher join  --dir D --agency ID --request FILE
python -m searcher ask   --dir D --admission FILE --gateway HOST:PORT --proto P --data E  < questions.json
python -m searcher keys  --data E  < children.json
python -m searcher make  --data E  < blocks.json, the test vectors of the document
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import threading
import time
from pathlib import Path
from typing import Any

from searcher import agency, documents, question, vectors
from searcher.agency import Admission, Custodian, Directory, now_utc
from searcher.agreement import Facts, collection
from searcher.catalogues import Catalogue, Reader
from searcher.keys import KeySet
from searcher.link import Link
from searcher.logs import check_export, check_logged
from searcher.lookup import Lookup, Terms
from searcher.parts import Child
from searcher.refusal import Refusal
from searcher.wire import Wire

COLLECTIONS = ("involvement", "protected")  # in the order of their names
PATIENCE_S = 30.0
PAUSE_S = 0.1


def join(options: argparse.Namespace) -> None:
    """Make keys and write the request to join."""
    about = {
        "name": f"Agency {options.agency}",
        "sector": "SOCIAL_CARE",
        "contact_in_hours": "0000 000 003",
        "contact_out_of_hours": "0000 000 004",
    }
    options.request.write_bytes(agency.found(options.dir, options.agency, about))


class Asking:
    """A searcher with its link up."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.own = agency.load(options.dir)
        self.wire = Wire(options.proto)
        self.keys = KeySet.load(options.data)
        admission = Admission.read(options.admission.read_bytes(), self.own.id)
        self.directory = Directory(admission)
        self.directory.take_roster(admission.roster, now_utc())
        if admission.agreement:
            self.directory.take_agreement(admission.agreement)
        gateway = options.gateway or admission.gateways[0]
        self.link = Link(self.wire, self.own, admission, gateway)
        self.catalogues: dict[tuple[str, str], Catalogue] = {}

    def begin(self) -> None:
        """Attach, take the directory, publish our own statement."""
        self.directory.take(self.link.attach(), now_utc())
        self.link.publish_statement(self.own.statement(now_utc()))

    def prepare(self, custodian: str) -> None:
        """Wait for a custodian's statement and for the first of its catalogues."""
        until = time.monotonic() + PATIENCE_S
        while custodian not in self.directory.statements:
            frame = self.link.next_frame(until - time.monotonic())
            if frame.WhichOneof("frame") == "directory":
                self.directory.take(frame.directory, now_utc())
        while True:
            try:
                return self.update(self.directory.custodian(custodian))
            except Refusal as refusal:
                if refusal.code != "catalogue.missing" or time.monotonic() > until:
                    raise
            # Not granted to us yet, and nothing will say when it is.
            threading.Event().wait(PAUSE_S)

    def update(self, custodian: Custodian) -> None:
        """Bring both catalogues up to date: fetching one would tell the gateway which is asked about."""
        reader = Reader(self.own.id, (self.own.sealing,), custodian.signing_public)
        for name in COLLECTIONS:
            epoch, _ = custodian.oprf_key(name, now_utc())
            held = self.catalogues.get((custodian.id, name))
            if held is None or held.epoch != epoch:
                held = self.catalogues[custodian.id, name] = Catalogue(custodian.id, name, epoch)
            wanted = {"custodian": held.custodian, "collection": held.collection, "epoch": held.epoch}
            held.take(self.link.fetch(**wanted, held_version=held.version), reader)

    def ask(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """One question to every custodian named."""
        terms = Terms(**asked["terms"])
        to_ask = {}
        for name in asked["custodians"]:
            self.prepare(name)
            to_ask[name] = self.catalogues[name, self._collection(name, terms)]
        made = question.make(Child(**asked["child"]), self.keys, secrets.token_bytes)
        lookup = Lookup(self.wire, self.own, self.directory, self.link, made, terms, self.update)
        return [
            {**answer, "collection": to_ask[answer["custodian"]].collection} for answer in lookup.run(to_ask)
        ]

    def _collection(self, custodian: str, terms: Terms) -> str:
        agreement, members = self.directory.agreement, (custodian, self.own.id)
        source, dest = (self.directory.member(name) for name in members)
        if agreement is None or source is None or dest is None:
            raise Refusal("roster.not_active", "an agreement, and two active members")
        facts = Facts(source, dest, terms.purpose, terms.basis)
        return collection(agreement.content["rules"], facts, now_utc())


def _say(value: object) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def ask(options: argparse.Namespace) -> None:
    """Ask each question of standard input; print the answers, then what is loaded here."""
    asking = Asking(options)
    try:
        asking.begin()
        for asked in json.load(sys.stdin):
            _say({"answers": asking.ask(asked)})
    finally:
        asking.link.close()
    _say({"modules": sorted({name.partition(".")[0] for name in sys.modules})})


def keys(options: argparse.Namespace) -> None:
    """Print the keys of each child of standard input."""
    key_set = KeySet.load(options.data)
    for child in json.load(sys.stdin):
        made = key_set.question(Child(**child))
        _say([key.in_words() for key in made])


def make(options: argparse.Namespace) -> None:
    """Print the document's test vectors as this code makes them."""
    _say(vectors.make(json.load(sys.stdin), KeySet.load(options.data)))


def check(options: argparse.Namespace) -> None:
    """Check a log's export and a receipt under it, as an auditor who has only the roster's key would."""
    told = json.load(sys.stdin)
    origin, public = told["origin"], bytes.fromhex(told["public"])
    leaves = check_export(options.export.read_bytes().splitlines(), origin, public)
    receipt = documents.parse(options.receipt.read_bytes())
    proof = receipt.pop("log_proof")
    kind = documents.document_type("receipt")
    said = documents.open_envelope(documents.canonical(receipt), kind, public, documents.RECEIPT_KEYS).content
    leaf = bytes.fromhex(said["leaf"])
    _say({"entries": len(leaves), "is_in_it": leaves[check_logged(proof, leaf, origin, public)] == leaf})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["join", "ask", "keys", "make", "check"])
    parser.add_argument("--agency")
    parser.add_argument("--gateway")
    for name in ("dir", "request", "admission", "proto", "data", "export", "receipt"):
        parser.add_argument(f"--{name}", type=Path)
    options = parser.parse_args()
    {"join": join, "ask": ask, "keys": keys, "make": make, "check": check}[options.command](options)


if __name__ == "__main__":
    main()
