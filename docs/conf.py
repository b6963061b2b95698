"""Sphinx's configuration: `make docs` builds the site into build/docs. The pages are Markdown, readable in the repository too."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "tools"))
os.environ["TUTORIAL"] = str(DOCS.parent / "build" / "docs-run" / "tutorial")  # where the notebooks begin

from cropcam.pipeline import __version__

project, author, release = "cropcam", "The cropcam founders", __version__
project_copyright = "The cropcam founders, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "site_sources"]
exclude_patterns = ["tools", "**/.ipynb_checkpoints"]
suppress_warnings = ["misc.highlighting_failure"]  # pages quote shortened JSON and TOML
myst_heading_anchors = 4  # the anchors that a repository's web page makes
myst_enable_extensions = ["colon_fence"]
myst_update_mathjax = False
highlight_language = "text"
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_merge_streams = True
napoleon_numpy_docstring = False
default_role = "code"  # docstrings have single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True

html_theme = "pydata_sphinx_theme"
html_title = "cropcam"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_nav_level": 1,
    "show_toc_level": 2,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navbar_persistent": [],
    "navbar_end": ["search-button", "theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "default",
    "back_to_top_button": False,
}
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "tutorial": []}
