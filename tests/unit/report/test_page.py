"""The templates' surroundings."""

from __future__ import annotations

import re
from importlib import resources

import jinja2
import numpy as np
import pytest

from cropcam.model.report.figures import accuracies
from cropcam.model.report.page import template
from cropcam.pipeline.colours import contrast


def render(source: str, **values: object) -> str:
    return template("macros.html.j2").environment.from_string(source).render(**values)


def test_values_are_escaped() -> None:
    assert render("{{ name }}", name="<b>&") == "&lt;b&gt;&amp;"


def test_a_missing_variable_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'absent' is undefined"):
        render("{{ absent }}")


def test_filters_format_metrics() -> None:
    assert render("{{ value | number(true) }}, {{ names | join_words }}", value=0.5, names=["a", "b", "c"]) == "50.0\u00a0%, a, b and c"


def test_the_style_sheet_is_included() -> None:
    assert "figure.default img" in render("{{ css }}")


def test_a_confusion_matrix_has_counts_and_shares_of_its_rows() -> None:
    text = render("{% from 'macros.html.j2' import label_matrix %}{{ label_matrix(confusion, 'corn') }}", confusion=[[3, 1], [0, 0]])
    assert "<b>75.0\u00a0%</b><span>3</span>" in text
    assert text.count("<b>\u2013</b><span>0</span>") == 2, "an empty row has no shares"
    assert '<th scope="row">absent<span>4</span></th>' in text


def test_an_estimate_has_its_interval_if_there_is_one() -> None:
    source = "{% from 'macros.html.j2' import metric %}{{ metric(part, 'f1') }}"
    assert render(source, part={"f1": 0.5, "f1_ci95": [0.4, 0.6]}) == '0.500<span class="span">0.400\u2009\u2013\u20090.600</span>'
    assert render(source, part={"f1": None, "f1_ci95": None}) == "\u2013"


def test_a_matrix_has_the_sum_of_each_row_and_the_share_of_each_cell() -> None:
    """Rows of three different counts: a total that is one cell, or the column's, is another number."""
    source = "{% from 'macros.html.j2' import label_matrix %}{{ label_matrix(confusion, 'corn') }}"
    text = render(source, confusion=[[1200, 300], [50, 450]])
    assert re.findall(r'<th scope="row">(\w+)<span>([\d,]+)</span>', text) == [("absent", "1,500"), ("present", "500")]
    assert re.findall(r"<b>(\S+)\s%</b><span>([\d,]+)</span>", text) == [
        ("80.0", "1,200"),
        ("20.0", "300"),
        ("10.0", "50"),
        ("90.0", "450"),
    ]


def test_a_difference_is_coloured_where_its_interval_leaves_out_0() -> None:
    source = "{% from 'macros.html.j2' import difference %}{{ difference(row, 'd') }}"

    def cell(value: float | None, low: float | None, high: float | None) -> str:
        return render(source, row={"d": value, "d_low": low, "d_high": high}).strip()

    assert cell(0.1, 0.02, 0.18) == '<td class="difference better">+10.0 points<span class="span">+2.0 to +18.0 points</span></td>'
    assert cell(-0.1, -0.2, -0.01).startswith('<td class="difference worse">\u221210.0 points')
    assert cell(0.1, -0.02, 0.2).startswith('<td class="difference">+10.0 points')
    assert cell(0.1, None, None) == '<td class="difference">+10.0 points</td>'
    assert cell(None, None, None) == '<td class="difference"></td>'


@pytest.mark.parametrize("part", [0, 1], ids=["light", "dark"])
def test_the_colours_of_text_and_lines_stand_out_from_the_paper(part: int) -> None:
    css = resources.files("cropcam.model.report").joinpath("report.css").read_text("utf-8")
    names = re.findall(r"--([a-z-]+): #([0-9a-f]{6})", re.findall(r":root \{(.*?)\}", css, re.DOTALL)[part])
    color = {name: tuple(bytes.fromhex(value)) for name, value in names}
    for paper in ("paper", "wash", "care", "none"):
        for text in ("ink", "muted", "accent", "good", "bad"):
            assert contrast(color[text], color[paper]) >= 4.5, (text, paper)
    assert contrast(color["ink"], color["full"]) >= 4.5
    for line in ("train", "guess"):
        assert contrast(color[line], color["paper"]) >= 2.4, line


def test_plots_take_their_colours_from_the_page() -> None:
    drawn = accuracies(np.array([0.2, 0.4]), 0.3, 0.1)
    assert {"var(--ink)", "var(--accent)", "var(--guess)", "var(--muted)"} <= set(re.findall(r"var\(--[a-z]+\)", drawn))
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawn)) <= {"#000000", "#cccccc"}  # of what is not drawn
