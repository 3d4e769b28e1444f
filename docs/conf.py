"""The documentation as a site: ``make docs``."""

from typing import Any

import embedstore

project = "embedstore"
author = "the authors of embedstore"
copyright = author
release = version = embedstore.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx_click",
    "sphinx_copybutton",
]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types, in words that readers know
smartquotes = False  # they take "--option" for a dash
copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = f"embedstore {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}


def escape_help(app: Any, context: Any, lines: list[str]) -> None:
    """Escape what reStructuredText would take out of a help text."""
    lines[:] = [line.replace("\\", r"\\") for line in lines]


def setup(app: Any) -> None:
    """Add what the extensions leave to a project."""
    app.connect("sphinx-click-process-options", escape_help)
