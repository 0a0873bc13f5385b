# SPDX-License-Identifier: MIT
"""Sanitised SVG for the page: an allow-list of elements, attributes and values; nothing is executed or loaded.

Everything else is removed. Styles become attributes, because the content security policy forbids `style`. Ids get a
prefix, so that they are unique on the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from markupsafe import Markup, escape

from fixedpoint_nn.training.pictures import printable

NAMESPACE, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
LARGEST, DEEPEST = 1 << 25, 64  # bytes; nested elements

SHAPES = {"circle", "ellipse", "line", "path", "polygon", "polyline", "rect", "use", "image"}
ELEMENTS = SHAPES | {"svg", "g", "defs", "clipPath", "text", "tspan"}
TEXTS = {"text", "tspan"}

NUMBERS = re.compile(r"[\w\s.,%+-]*", re.ASCII)
TRANSFORMS = re.compile(r"(?:\s*(?:matrix|rotate|scale|skewX|skewY|translate)\([\s\d.,eE+-]*\))*\s*")
PAINT = re.compile(r"#[0-9A-Fa-f]{3,8}|[A-Za-z]+|rgba?\([\s\d.,%]*\)|var\(--[\w-]+\)", re.ASCII)
REFERENCE = re.compile(r"url\(#([\w.:-]+)\)", re.ASCII)
LINK = re.compile(r"#([\w.:-]+)", re.ASCII)
NAME = re.compile(r"[\w.:-]+", re.ASCII)
PIXELS = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=\s]*")
SHORTHAND = re.compile(r"(?:(italic|oblique) )?(?:(bold|[1-9]00) )?([\d.]+px)\s")  # of `font`

PAINTS = {"fill", "stroke"}
MEASURES = {
    "cx", "cy", "d", "font-size", "font-style", "font-weight", "height", "opacity", "points", "r", "rx", "ry",
    "fill-opacity", "fill-rule", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin",
    "stroke-miterlimit", "stroke-opacity", "stroke-width", "text-anchor", "viewBox", "width", "x", "x1", "x2", "y",
    "y1", "y2", "dx", "dy", "clip-rule", "clipPathUnits", "preserveAspectRatio", "dominant-baseline",
}  # fmt: skip


class SvgError(ValueError):
    """Raised for text that is not SVG, or not of this project; the message is the end of a sentence."""


@dataclass(frozen=True)
class Element:
    """An allowed element with its allowed attributes; text only within text elements."""

    tag: str
    attributes: Mapping[str, str]
    children: list[Element | str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Element]:
        """The element and all its descendants."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child

    def changed(self, attributes: Callable[[Element], Mapping[str, str] | None]) -> Element:
        """The tree with new attributes; None leaves an element and its descendants unchanged."""
        found = attributes(self)
        if found is None:
            return self
        children = [child if isinstance(child, str) else child.changed(attributes) for child in self.children]
        return Element(self.tag, found, children)


@dataclass(frozen=True)
class Picture:
    """A sanitised SVG, with its label for screen readers."""

    root: Element
    label: str

    @classmethod
    def of(cls, svg: str | bytes, label: str) -> Picture:
        """The picture in an SVG text, sanitised."""
        return cls(parsed_svg(svg), label)

    def changed(self, attributes: Callable[[Element], Mapping[str, str] | None]) -> Picture:
        """The picture with changed attributes of some elements."""
        return replace(self, root=self.root.changed(attributes))

    def markup(self, prefix: str) -> Markup:
        """The <svg> element as markup; all its ids begin with `prefix`."""
        about = {"role": "img", "aria-label": printable(self.label), **self.root.attributes}
        parts: list[str] = []
        _write(Element("svg", about, self.root.children), prefix, parts)
        return Markup("".join(parts))


def parsed_svg(svg: str | bytes) -> Element:
    """The allowed part of an SVG document; raises SvgError."""
    if len(svg) > LARGEST:
        raise SvgError(f"it is larger than {LARGEST} bytes")
    tree = _Tree()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.letters
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(svg.encode("utf-8", "replace") if isinstance(svg, str) else svg, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise error if isinstance(error, SvgError) else SvgError(f"it is no XML ({error})") from None
    if tree.root is None:
        raise SvgError("its outermost element is no svg")
    return tree.root


class _Tree:
    """The tree built by the parser's events; disallowed elements are skipped with their contents."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self.open: list[Element] = []
        self.skipped = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element; one that is not allowed is skipped with everything inside."""
        space, _, tag = name.rpartition(" ")
        allowed = space == NAMESPACE and tag in ELEMENTS and (self.open or tag == "svg")
        if self.skipped or not allowed:
            self.skipped += 1
            return
        if len(self.open) == DEEPEST:
            raise SvgError(f"its elements are nested deeper than {DEEPEST}")
        element = Element(tag, _attributes(tag, attributes))
        if self.open:
            self.open[-1].children.append(element)
        else:
            element = Element(tag, _sized(element.attributes))
            self.root = element
        self.open.append(element)

    def end(self, name: str) -> None:
        if self.skipped:
            self.skipped -= 1
        else:
            self.open.pop()

    def letters(self, text: str) -> None:
        if not self.skipped and self.open and self.open[-1].tag in TEXTS:
            self.open[-1].children.append(text)


def _refuse_entity(name: str, *_: object) -> None:
    raise SvgError(f"it declares the entity {name[:40]!r}")


def _attributes(tag: str, given: Mapping[str, str]) -> dict[str, str]:
    """The allowed attributes, overridden by the declarations of `style`, as in SVG."""
    own = {name.removeprefix(f"{XLINK} "): value for name, value in given.items()}
    declared = [part.partition(":") for part in own.pop("style", "").split(";")]
    own |= {name.strip(): value.strip() for name, _, value in declared}
    if font := SHORTHAND.match(own.pop("font", "")):
        named = zip(("font-style", "font-weight", "font-size"), font.groups(), strict=True)
        own |= {name: value for name, value in named if value}
    return {name: " ".join(value.split()) for name, value in own.items() if _allowed(tag, name, value)}


def _allowed(tag: str, name: str, value: str) -> bool:
    if name in PAINTS:
        return bool(PAINT.fullmatch(value) or REFERENCE.fullmatch(value))
    if name in MEASURES:
        return bool(NUMBERS.fullmatch(value))
    if name == "href":
        pattern = {"use": LINK, "image": PIXELS}.get(tag)
        return bool(pattern and pattern.fullmatch(value))
    known = {"id": NAME, "transform": TRANSFORMS, "clip-path": REFERENCE}
    return name in known and bool(known[name].fullmatch(value))


def _sized(attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes of the root element with its width in pixels; the height follows from the view box."""
    points = re.fullmatch(r"([\d.]+)pt", attributes.get("width", ""))
    rest = {name: value for name, value in attributes.items() if name not in ("width", "height")}
    width = {"width": f"{float(points[1]) * 4 / 3:.0f}"} if points and points[1].count(".") < 2 else {}
    return {**width, "stroke-linejoin": "round", **rest}


def _write(element: Element, prefix: str, parts: list[str]) -> None:
    """Append the element as text, with `prefix` before its ids and the references to them."""
    parts.append(f"<{element.tag}")
    for name, value in element.attributes.items():
        if name == "id":
            value = prefix + value
        elif name == "href":
            value = LINK.sub(rf"#{prefix}\1", value) if element.tag == "use" else value.replace(" ", "")
        elif name in PAINTS or name == "clip-path":
            value = REFERENCE.sub(rf"url(#{prefix}\1)", value)
        parts.append(f' {name}="{escape(value)}"')
    parts.append(">")
    for child in element.children:
        if isinstance(child, Element):
            _write(child, prefix, parts)
        else:
            parts.append(str(escape(child)))
    parts.append(f"</{element.tag}>")
