"""A document of headings and sentences, each of which names its clause; as Markdown, and from that HTML.

Sees:     texts that people typed into an agreement.
Refuses:  to let any of them become mark-up: they are escaped in Markdown, and raw HTML is off.
Promises: a page loads nothing from anywhere, and reads on a phone, on paper and aloud.
Source:   CommonMark 0.31 §2.4 (backslash escapes); HTML, WCAG 2.2 (language, landmarks, headings, contrast).
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

# Within a line; and what means something only where a line begins.
_MARKS = re.compile(r"([\\`*{}\[\]<>|~&]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z]))")
_FIRST = re.compile(r"^([#+=-]|[0-9]+(?=[.)]))")
# Black on white and back; lines of a width that can be read; nothing that a printer would cut.
_STYLE = """
:root { color-scheme: light dark; }
body { font: 1.05rem/1.55 system-ui, sans-serif; margin: 0; color: #1a1a1a; background: #fff; }
main { max-width: 44rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { font-size: 1.3rem; margin-top: 2rem; } h3 { font-size: 1.1rem; }
li { margin: 0.35rem 0; } em { font-style: normal; color: #555; font-size: 0.9em; }
@media (prefers-color-scheme: dark) {
  body { color: #eee; background: #121212; } em { color: #b5b5b5; }
}
@media print {
  body { font-size: 11pt; color: #000; background: #fff; }
  main { max-width: none; padding: 0; } em { color: #000; }
  h2, h3 { break-after: avoid; } li, p { break-inside: avoid; }
}
"""


@dataclass(slots=True)
class Page:
    """One document as it grows; `markdown` and `html` give it whole."""

    title: str
    _lines: list[str] = field(default_factory=list)

    def heading(self, text: str, level: int = 2) -> None:
        """Begin a section; level 2 or 3, the title is level 1."""
        self._lines += ["", f"{'#' * level} {escape(text)}", ""]

    def say(self, sentence: str, clause: str) -> None:
        """Write a paragraph of one sentence or two about one clause."""
        self._lines += ["", _with_clause(sentence, clause), ""]

    def item(self, sentence: str, clause: str) -> None:
        """Write an entry of a list."""
        self._lines.append(f"- {_with_clause(sentence, clause)}")

    def markdown(self) -> str:
        """The document as CommonMark."""
        text = "\n".join([f"# {escape(self.title)}", *self._lines, ""])
        return re.sub(r"\n{3,}", "\n\n", text)

    def html(self) -> str:
        """The document as one HTML page, made from its Markdown."""
        from markdown_it import MarkdownIt

        body = MarkdownIt("commonmark", {"html": False}).render(self.markdown())
        return (
            '<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{html.escape(self.title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
            f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
        )


def escape(text: str) -> str:
    """Make any line of text mean itself in Markdown."""
    marked = _MARKS.sub(r"\\\1", text)
    return _FIRST.sub(lambda found: _escaped_start(found[1]), marked)


def _escaped_start(start: str) -> str:
    """What would begin a heading, a list or a rule; a number keeps its digits before the backslash."""
    return f"{start}\\" if start.isdigit() else f"\\{start}"


def _with_clause(sentence: str, clause: str) -> str:
    """A sentence, and in brackets which clause it comes from. What people typed may lack its full stop."""
    stop = "" if sentence.rstrip().endswith((".", "!", "?", ":", ")")) else "."
    return f"{escape(sentence.rstrip())}{stop} *({escape(clause)})*"
