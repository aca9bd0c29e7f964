"""A page of the catalogue as a test reads it."""

from __future__ import annotations

from html.parser import HTMLParser


class Outline(HTMLParser):
    """Tags with their attributes, the text outside scripts and styles, and what stands in each of those."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.code: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] in ("script", "style"):
            self.code.append((self._inside[-1], data))
            return
        self.text += data
        if self.rows and {"td", "th"} & set(self._inside):
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())

    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.tags if "id" in attributes]

    def links(self) -> list[str]:
        return [str(attributes["href"]) for tag, attributes in self.tags if tag == "a"]
