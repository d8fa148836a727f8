"""Reads the words of an HTML page; knows nothing of files."""

from __future__ import annotations

from html.parser import HTMLParser

__all__ = ["read_html"]

_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "head"})
# Elements that do not end a word or a line; every other one starts a new block.
_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "dfn", "em", "font", "i", "kbd", "mark", "q", "s"}
    | {"samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr"}
)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.body: list[str] = []
        self._hidden: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            # A page that never closes its head still has a body.
            self._hidden.clear()
        elif tag in _HIDDEN:
            self._hidden.append(tag)
        self._in_title = tag == "title" and "svg" not in self._hidden
        if tag == "img" and not self._hidden:
            self.body.append(f" {dict(attrs).get('alt') or ''} ")
        if tag == "br":
            self.body.append("\n")
        elif tag not in _INLINE:
            self.body.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        self._in_title = False
        if tag not in _INLINE:
            self.body.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._hidden:
            self.body.append(data.replace("\n", " "))


def read_html(text: str) -> tuple[str, str]:
    """The title, and the visible words with an empty line between blocks."""
    words = _Words()
    words.feed(text)
    words.close()
    return " ".join("".join(words.title).split()), "".join(words.body)
