# SPDX-License-Identifier: MIT
"""SVG in the page: what is allowed stays as it was, and nothing else does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixedpoint_nn.report.svg import LARGEST, Picture, SvgError, parsed_svg
from fixedpoint_nn.report.theme import inline, saved
from fixedpoint_nn.training.pictures import confusion

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'


def markup(inside: str, label: str = "a picture", prefix: str = "p1_") -> str:
    return str(Picture.of(f"{HEAD}{inside}</svg>", label).markup(prefix))


def test_a_drawing_stays_what_it_was() -> None:
    text = markup(
        '<g id="a"><path d="M 0 0\nL 9 9" style="fill: none; stroke: #22303c"/><text x="1">1 &lt; 2</text></g>'
    )
    assert text == (
        '<svg role="img" aria-label="a picture" stroke-linejoin="round" viewBox="0 0 9 9"><g id="p1_a">'
        '<path d="M 0 0 L 9 9" fill="none" stroke="#22303c"></path><text x="1">1 &lt; 2</text></g></svg>'
    )


HOSTILE = {
    "a script": "<script>bad()</script>",
    "a handler": '<path d="M 0 0" onload="bad()" onclick="bad()"/>',
    "foreign HTML": '<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="bad"/></foreignObject>',
    "a link": '<a xlink:href="javascript:bad()"><text>bad</text></a>',
    "a use of elsewhere": '<use href="http://bad/#x"/><use xlink:href="bad.svg#x"/>',
    "a picture of elsewhere": '<image href="http://bad/x.png"/><image xlink:href="data:image/svg+xml,bad"/>',
    "a script as a picture": '<image href="javascript:bad()"/>',
    "an animated link": '<set attributeName="href" to="javascript:bad()"/><animate values="bad"/>',
    "a sheet of styles": "<style>@import 'http://bad';</style>",
    "a style that loads": '<path style="fill: url(http://bad); background: url(bad); stroke: u\\72l(bad)"/>',
    "a paint that loads": '<path fill="url(//bad)" clip-path="url(bad#x)" filter="url(bad)"/>',
    "a transform that is none": '<g transform="url(bad)"/>',
    "HTML": '<img xmlns="http://www.w3.org/1999/xhtml" src="bad" onerror="bad()"/><bad/>',
    "a quote in an identity": """<g id='x" onload="bad()'/>""",
}


@pytest.mark.parametrize("inside", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_runs_or_loads_is_left_out(inside: str) -> None:
    text = markup(inside + '<g id="after"></g>')
    assert "bad" not in text
    assert text.endswith('<g id="p1_after"></g></svg>')


def test_names_are_letters_wherever_they_stand() -> None:
    text = markup("<text>&lt;/text&gt;&lt;script&gt;</text>", label='"><script>', prefix="p_")
    assert "<script" not in text
    assert 'aria-label="&#34;&gt;&lt;script&gt;"' in text
    assert "<text>&lt;/text&gt;&lt;script&gt;</text>" in text


def test_two_pictures_share_no_identity_and_refer_to_their_own() -> None:
    inside = '<defs><path id="m" d="M 0 0"/></defs><use xlink:href="#m" clip-path="url(#c)"/>'
    first, second = (markup(inside, prefix=prefix) for prefix in ("p1_", "p2_"))
    assert '<use href="#p1_m" clip-path="url(#p1_c)">' in first
    assert first.replace("p1_", "p2_") == second


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<html/>", "its outermost element is no svg"),
        ("<svg", "it is no XML (unclosed token: line 1, column 0)"),
        (f"{HEAD}{'<g>' * 100}{'</g>' * 100}</svg>", "its elements are nested deeper than 64"),
        ('<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + f"{HEAD}<text>&a;</text></svg>", "it declares the entity 'a'"),
        (" " * (LARGEST + 1), "it is larger than 33554432 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(SvgError) as caught:
        parsed_svg(text)
    assert str(caught.value) == sentence


def test_a_damaged_picture_of_a_run_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.svg"
    path.write_text("<svg")
    with pytest.raises(ValueError, match="is not a picture") as caught:
        saved(path, "accuracy")
    assert str(caught.value) == (
        f"{path} is not a picture that a command wrote: it is no XML (unclosed token: line 1, column 0); "
        "delete it or run it again"
    )


def test_colours_of_a_heat_map_stay_and_those_around_it_follow_the_page() -> None:
    import numpy as np

    picture = inline(lambda path: confusion(np.array([[9, 1], [0, 5]]), path), "confusion")
    text = str(picture.markup("p_"))
    cells = re.findall(r'<g id="p_cell[^>]*>(.*?)</g>', text)
    assert [re.search(r'fill="(.*?)"', cell)[1] for cell in cells] == ["#ffffff", "#22303c", "#ffffff"]  # type: ignore[index]
    assert 'fill="var(--ink)"' in text
    assert 'fill="var(--paper)"' in text
