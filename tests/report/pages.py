"""A page as the tests read it."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

VOID = {"meta", "img", "br", "link", "input", "hr", "path", "circle", "line"}


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.counts: dict[str, str] = {}
        self._style = False
        self._count: tuple[str, str] | None = None
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        self._style |= tag == "style"
        if "data-count" in attributes:
            self._count = (tag, attributes["data-count"])
            self.counts[attributes["data-count"]] = ""

    def handle_endtag(self, tag):
        if tag == "style":
            self._style = False
        if self._count and tag == self._count[0]:
            self._count = None

    def handle_data(self, data):
        if self._style:
            return
        self.text += data
        if self._count:
            self.counts[self._count[1]] += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def with_class(self, tag: str, name: str) -> list[dict[str, str]]:
        return [a for a in self.of(tag) if name in a.get("class", "").split()]


def decode(uri: str) -> np.ndarray:
    """The pixels of a data URI, (H, W, 3)."""
    kind, content = re.fullmatch(r"data:image/(webp|png);base64,(.*)", uri).groups()
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert image.format == kind.upper()
        return np.asarray(image.convert("RGB"))
