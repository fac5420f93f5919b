"""How Sphinx makes a site of these pages: `make docs`."""

from xsd import __version__

project = "xsd"
author = "The xsd authors"
copyright = author  # noqa: A001  Sphinx's name for it
version = release = __version__

extensions = ["myst_parser"]
html_theme = "furo"
html_title = f"xsd {__version__}"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

# Values and options stand in running text and are to be typed as they are.
smartquotes = False

# Headings get the anchors that a repository's own view of these files gives them.
myst_heading_anchors = 4
