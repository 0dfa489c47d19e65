"""Every error this project raises on purpose, each with a stable code.

A code crosses the wire and stands in docs/errors.md; a message says what was expected, what came and
what to do, and never carries a record, a match key, a secret or a path of another party's machine.
"""

from __future__ import annotations

from collections.abc import Iterable


class ElsewhereError(Exception):
    """Anything raised on purpose. Subclasses differ where a caller can do something different."""

    code = "internal"


# --- OPRF and identifiers: elsewhere.oprf -----------------------------------------------------------


class MalformedKey(ElsewhereError):
    """Bytes that are not a key of the stated kind."""

    code = "oprf.key"


class MalformedElement(ElsewhereError):
    """A batch holds bytes that are not a canonical, non-identity, unrepeated group element."""

    code = "oprf.element"

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"element {index}: expected 32 bytes of a canonical ristretto255 element; {reason}")
        self.index = index


class BatchTooLarge(ElsewhereError):
    """More elements than one call takes. Nothing was evaluated; split the batch."""

    code = "oprf.batch"


class BatchSizeWrong(ElsewhereError):
    """A batch does not hold the number of elements its message must hold. Nothing was evaluated."""

    code = "oprf.size"

    def __init__(self, *, expected: int | None, got: int) -> None:
        wanted = "at least 1 element" if expected is None else f"exactly {expected} elements"
        super().__init__(f"expected {wanted}; {got} came")
        self.expected, self.got = expected, got


class MalformedScalar(ElsewhereError):
    """Bytes that are not a scalar below the group order: a blind or a proof was made wrongly."""

    code = "oprf.scalar"


class ProofInvalid(ElsewhereError):
    """The evaluation was not made with the key that the custodian published. Do not use any of it."""

    code = "proof.invalid"


class SodiumMissing(ElsewhereError):
    """No usable libsodium: install Debian's libsodium23, or the `rbcl` wheel."""

    code = "setup.libsodium"


# --- Sealing and signing ----------------------------------------------------------------------------


class SealBroken(ElsewhereError):
    """A sealed message did not open: altered, for someone else, or in another place of the protocol."""

    code = "seal.broken"


class SignatureInvalid(ElsewhereError):
    """A signature does not verify under the key that the roster gives for its signer."""

    code = "signature.invalid"


class MessageTooLarge(ElsewhereError):
    """A message does not fit the constant size of its kind."""

    code = "message.size"


class NotCanonical(ElsewhereError):
    """A document is not canonical JSON, so it could have two digests. Ask its sender for another."""

    code = "document.not_canonical"


# --- Persons and match keys -------------------------------------------------------------------------


class PersonMalformed(ElsewhereError):
    """A person that no record can hold: too long, too many, control characters. Correct `field` and retry.

    An odd value (an impossible date, a wrong check digit) is never refused; it is only not used.
    """

    code = "person.malformed"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


# --- Folders of nodes and gateways ------------------------------------------------------------------


class ConfigInvalid(ElsewhereError):
    """A settings file is missing, unreadable or holds an impossible key. Correct it and start again."""

    code = "config.invalid"


class KeyFileExposed(ElsewhereError):
    """A secret file can be read by others. Make it 0600, ask who could have read it, rotate the key."""

    code = "key.exposed"


class KeyFileMissing(ElsewhereError):
    """A key that the node needs is not there, or is not one. Restore it or make new keys and join again."""

    code = "key.missing"


# --- Signed documents: roster, key statements, agreement --------------------------------------------


class DocumentInvalid(ElsewhereError):
    """A document says something impossible. Correct `key`, on `line` where known, and sign it anew."""

    code = "document.invalid"

    def __init__(self, key: str, reason: str, *, line: int | None = None) -> None:
        super().__init__(f"line {line}, {key}: {reason}" if line else f"{key}: {reason}")
        self.key, self.reason, self.line = key, reason, line


class NotActive(ElsewhereError):
    """The roster does not let this agency ask or answer now; `state` says why. Ask the stewards."""

    code = "roster.not_active"

    def __init__(self, agency: str, state: str) -> None:
        super().__init__(f"expected {agency} to be an active member; its state is {state}")
        self.agency, self.state = agency, state


class RosterExpired(ElsewhereError):
    """The roster held is not valid now. Nothing is asked or answered until a current one comes."""

    code = "roster.expired"


class RosterForked(ElsewhereError):
    """Two signed rosters contradict each other. Keep the one held and call the stewards: a key is misused."""

    code = "roster.forked"


class RosterRollback(ElsewhereError):
    """A roster older than the one already seen. Keep the one held; someone withholds or replays."""

    code = "roster.rollback"


class StatementRollback(ElsewhereError):
    """A key statement older than, or contradicting, the one already seen. Keep the one held and say so."""

    code = "statement.rollback"


# --- Lookup messages --------------------------------------------------------------------------------


class LookupMalformed(ElsewhereError):
    """A lookup message whose shape the protocol does not allow. Its sender must be mended; do not retry."""

    code = "request.malformed"


# --- Questions: elsewhere.question ------------------------------------------------------------------


class TooManyKeys(ElsewhereError):
    """A person yields more match keys than a question has slots. Drop the least useful before asking."""

    code = "question.keys"


class OpeningInvalid(ElsewhereError):
    """A question does not follow from what its searcher opened. Report it: it asked about something else."""

    code = "question.opening"


# --- The hop: TLS, links, the gateway ---------------------------------------------------------------


class CertificateInvalid(ElsewhereError):
    """A certificate, request or TLS key is unreadable, or for another agency. Admit or join again."""

    code = "tls.certificate"


class FrameMalformed(ElsewhereError):
    """A frame of a link breaks a rule of its kind. The link ends; its sender must be mended."""

    code = "frame.malformed"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class LinkEnded(ElsewhereError):
    """The gateway ends a link; the subclass says why. Dial again with backoff unless it says otherwise."""

    code = "link.ended"


class LinkReplaced(LinkEnded):
    """A newer link of the same process of the agency took over. Dial again at leisure; find the other one."""

    code = "link.replaced"


class LinkSilent(LinkEnded):
    """Three beats did not come. Dial again."""

    code = "link.silent"


class LinkSlow(LinkEnded):
    """The peer does not read what it is sent. Dial again once it does."""

    code = "link.slow"


class LinkOutOfOrder(LinkEnded):
    """A frame came where it has no place: no Hello first, a second one, a beat that goes back. Mend it."""

    code = "link.order"


class VersionsApart(LinkEnded):
    """Gateway and node share no protocol version. Upgrade the older one; dialling again changes nothing."""

    code = "link.version"


class GatewayDraining(LinkEnded):
    """The gateway is going down in good order. Dial again, or dial another replica."""

    code = "gateway.draining"


class EnrolmentRefused(ElsewhereError):
    """A join request or an admission does not hold, or contradicts what is known. Nothing was changed."""

    code = "enrolment.refused"


class PieceRefused(ElsewhereError):
    """A catalogue piece cannot be cached: another's, out of order or over a bound. Nothing was kept."""

    code = "catalogue.refused"


class PieceMissing(ElsewhereError):
    """The catalogue or the part of it asked for is not cached here. Wait for its custodian to publish."""

    code = "catalogue.missing"


# --- A running node ---------------------------------------------------------------------------------


class LogUnavailable(ElsewhereError):
    """The store cannot be written (disk full, server gone), so nothing is released. It resumes by itself."""

    code = "log.unavailable"


class GatewayUnreachable(ElsewhereError):
    """No link to any gateway, so nobody could be asked. Check the network, then the gateway."""

    code = "gateway.unreachable"


class NotAdmitted(ElsewhereError):
    """This node holds no admission yet: run 'elsewhere node accept' with what the gateway's operator sent."""

    code = "node.not_admitted"


# --- The node's store and caseload: node.store, node.caseload ----------------------------------------


class StoreUnavailable(ElsewhereError):
    """The store cannot be opened, or fails: a full disk, damage. Nothing was changed; mend disk or URL."""

    code = "store.unavailable"


class StoreBusy(ElsewhereError):
    """Another process is writing for longer than we wait. Try again."""

    code = "store.busy"


class AskInvalid(ElsewhereError):
    """The question lacks purpose or urgency, or a field is too long. Nobody was asked; correct it."""

    code = "ask.invalid"


class DeskUnreachable(ElsewhereError):
    """Your own agency's node does not answer. Check that it runs, and that you may open its socket."""

    code = "desk.unreachable"


# --- Catalogues: elsewhere.catalogue ----------------------------------------------------------------


class CatalogueBroken(ElsewhereError):
    """A catalogue, or a part of one, is not what its custodian published. Discard it and fetch it again."""

    code = "catalogue.broken"


class PaddingInvalid(ElsewhereError):
    """In an audit, a catalogue holds tags that are neither records nor padding of the committed seed."""

    code = "catalogue.padding"


# --- Receipts: elsewhere.receipt --------------------------------------------------------------------


class ReceiptMismatch(ElsewhereError):
    """A receipt is signed but about another question or answer. Do not keep the answer; call that agency."""

    code = "receipt.mismatch"

    def __init__(self, field: str) -> None:
        super().__init__(f"expected a receipt for this question and answer; its {field} is of another")
        self.field = field


# --- Agreement --------------------------------------------------------------------------------------


class UnknownWord(ElsewhereError):
    """A question uses a word outside the agreement's vocabulary. Choose one of `allowed`."""

    code = "question.vocabulary"

    def __init__(self, kind: str, allowed: Iterable[str]) -> None:
        self.kind, self.allowed = kind, tuple(sorted(allowed))
        super().__init__(f"expected a {kind} of the vocabulary: {', '.join(self.allowed)}")


# --- The desk: elsewhere.asking, elsewhere.sdk ------------------------------------------------------


class DeskBusy(ElsewhereError):
    """Too many questions wait at your own node already. Nobody was asked; ask again in a moment."""

    code = "desk.busy"


class DeskMalformed(ElsewhereError):
    """A desk message breaks a rule of desk.proto. Node and library are of different versions; update."""

    code = "desk.malformed"


class DeskRefused(ElsewhereError):
    """Your own node refused the question for a reason this library has no class for; `code` names it."""

    code = "desk.refused"

    def __init__(self, message: str, *, code: str = "desk.refused") -> None:
        super().__init__(message)
        self.code = code
