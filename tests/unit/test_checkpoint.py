"""Checkpoints and their witnesses: a published note, and every way in which one is not what it says."""

from __future__ import annotations

import base64

import pytest

from elsewhere.signing import SigningKey
from elsewhere.transparency.checkpoint import Checkpoint, log_origin, open_checkpoint, sign_checkpoint
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.merkle import leaf_hash
from elsewhere.transparency.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Verifier,
    add_lines,
    cosign,
    open_note,
    sign_note,
)

# The example of Go's golang.org/x/mod/sumdb/note: its text, its key and its signature.
PUBLISHED_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6"
    "RyyBwJnAM=\n"
)
PUBLISHED_KEY = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]

ORIGIN = log_origin("example", "police")
LOG = SigningKey.from_seed(bytes(range(32)))
WITNESS = SigningKey.from_seed(bytes(range(32, 64)))
SEEN_BY = Verifier("example/nhs", WITNESS.public, is_witness=True)
CHECKPOINT = Checkpoint(ORIGIN, 7, leaf_hash(b"seven"))


def signed() -> str:
    return sign_checkpoint(CHECKPOINT, LOG).decode()


def test_the_published_note_opens() -> None:
    by = Verifier("PeterNeumann", PUBLISHED_KEY)
    assert by.id.hex() == "c74f20a3"
    note = open_note(PUBLISHED_NOTE.encode(), [by])
    assert note.text == PUBLISHED_NOTE.split("\n\n")[0] + "\n"
    assert [one.by for one in note.signed] == [by]


def test_a_checkpoint_is_three_lines_and_comes_back() -> None:
    assert CHECKPOINT.to_text().split("\n")[:2] == ["example/police/log", "7"]
    assert Checkpoint.from_text(CHECKPOINT.to_text()) == CHECKPOINT
    seen = open_checkpoint(signed().encode(), ORIGIN, LOG.public)
    assert seen.checkpoint == CHECKPOINT
    assert seen.witnesses == ()


def test_a_witness_says_when_it_saw_it() -> None:
    whole = add_lines(signed(), [cosign(signed(), SEEN_BY.name, WITNESS, 1_700_000_000)])
    seen = open_checkpoint(whole.encode(), ORIGIN, LOG.public, [SEEN_BY])
    assert [(one.by, one.at_s) for one in seen.witnesses] == [(SEEN_BY, 1_700_000_000)]
    assert add_lines(whole, [cosign(signed(), SEEN_BY.name, WITNESS, 1_700_000_000)]) == whole


def test_a_witness_counts_once_and_an_unknown_one_not_at_all() -> None:
    lines = [cosign(signed(), SEEN_BY.name, WITNESS, when) for when in (1, 2)]
    lines.append(cosign(signed(), "example/stranger", SigningKey.from_seed(bytes(32)), 3))
    seen = open_checkpoint(add_lines(signed(), lines).encode(), ORIGIN, LOG.public, [SEEN_BY])
    assert [one.by for one in seen.witnesses] == [SEEN_BY]


def test_a_witness_cannot_stand_in_for_the_log() -> None:
    own, _, _ = signed().rpartition("\n\n")
    alone = f"{own}\n\n{cosign(signed(), SEEN_BY.name, WITNESS, 1)}"
    with pytest.raises(NoteInvalid, match="signature of example/police/log"):
        open_checkpoint(alone.encode(), ORIGIN, LOG.public, [SEEN_BY])


def test_a_moved_time_is_no_cosignature() -> None:
    name, _, encoded = cosign(signed(), SEEN_BY.name, WITNESS, 5).removesuffix("\n").rpartition(" ")
    raw = bytearray(base64.b64decode(encoded))
    raw[11] ^= 1  # the last byte of the time
    whole = add_lines(signed(), [f"{name} {base64.b64encode(raw).decode()}\n"])
    with pytest.raises(NoteInvalid, match="it fails"):
        open_checkpoint(whole.encode(), ORIGIN, LOG.public, [SEEN_BY])


@pytest.mark.parametrize(("old", "new"), [("\n7\n", "\n8\n"), ("police", "school")])
def test_an_altered_checkpoint_does_not_open(old: str, new: str) -> None:
    with pytest.raises(NoteInvalid):
        open_checkpoint(signed().replace(old, new, 1).encode(), ORIGIN, LOG.public)


def test_another_logs_checkpoint_does_not_open() -> None:
    """One key, two logs: what is signed under one name is not taken for the other."""
    other = Checkpoint(log_origin("example", "school"), 7, CHECKPOINT.root)
    with pytest.raises(NoteInvalid):
        open_checkpoint(sign_checkpoint(other, LOG), ORIGIN, LOG.public)
    with pytest.raises(NoteInvalid, match="of another log"):
        open_checkpoint(sign_note(other.to_text(), ORIGIN, LOG).encode(), ORIGIN, LOG.public)


@pytest.mark.parametrize(
    "text",
    [
        "o\n07\n{r}\n",
        "o\n-1\n{r}\n",
        "o\n7\n{r}\nmore\n",
        "o\n7\n",
        "o p\n7\n{r}\n",
        "o\n7\n{r}=\n",
        "o\n7\nAAAA\n",
    ],
)
def test_a_checkpoint_has_one_form(text: str) -> None:
    root = base64.b64encode(bytes(32)).decode()
    assert Checkpoint.from_text(f"o\n7\n{root}\n").size == 7
    with pytest.raises(NoteInvalid):
        Checkpoint.from_text(text.format(r=root))


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n\n",
        b"text\n",
        b"\xff\n\n" + b"x",
        b"text\n\n- name AAAA\n",
        "text\n\n— name\n".encode(),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— name !!!!!!!!\n".encode(),
        "te\x00xt\n\n— name AAAAAAAAAAAA\n".encode(),
        ("text\n\n" + "— name AAAAAAAAAAAA\n" * (MAX_SIGNATURES + 1)).encode(),
        b"x" * (MAX_NOTE_BYTES + 1),
    ],
    ids=lambda note: f"{len(note)}-{note[:8]!r}",
)
def test_what_is_no_note_is_refused(note: bytes) -> None:
    with pytest.raises(NoteInvalid):
        open_note(note, [SEEN_BY])


@pytest.mark.parametrize("text", ["", "no end", "a\tb\n"])
def test_what_cannot_stand_in_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteInvalid):
        sign_note(text, "name", LOG)


@pytest.mark.parametrize(("name", "size"), [("a b", 1), ("a+b", 1), ("", 1)])
def test_an_origin_is_one_word(name: str, size: int) -> None:
    with pytest.raises(NoteInvalid, match="origin"):
        Checkpoint(name, size, bytes(32))
    with pytest.raises(NoteInvalid, match="key name"):
        Verifier(name, bytes(32))
