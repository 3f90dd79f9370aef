"""Settings of the documentation."""

project = "Likeness"
author = "The Likeness authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Do these synthetic images reproduce the patients they were made from?",
    "fixed_sidebar": True,
}
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
myst_heading_anchors = 3
nitpicky = False
