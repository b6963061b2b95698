"""The templates of the pages and what they all use."""

from __future__ import annotations

from importlib import resources

import jinja2
from markupsafe import Markup

from cropcam.model.evaluation.notes import join_words
from cropcam.model.report import formatting
from cropcam.pipeline.runtime.outputs import PAGE_MARK


def template(name: str) -> jinja2.Template:
    """A template of this package: everything is escaped, a missing variable is an error, the style sheet is included."""
    loader = jinja2.PackageLoader("cropcam.model.report", ".")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {name: getattr(formatting, name) for name in ("number", "span", "points", "difference", "shade")}
    environment.filters["join_words"] = join_words
    environment.globals |= {
        "headline": formatting.Headline,
        "mark": Markup(PAGE_MARK),  # noqa: S704 - our own text
        "css": Markup(resources.files("cropcam.model.report").joinpath("report.css").read_text("utf-8")),  # noqa: S704 - our own file
    }
    return environment.get_template(name)
