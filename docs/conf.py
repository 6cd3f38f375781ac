"""How docs/ becomes a site: script/site."""

from clusterd import __version__

project = "clusterd"
copyright = "the clusterd authors"
release = version = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = []
html_theme = "furo"
html_title = f"clusterd {release}"
html_copy_source = False
html_show_sphinx = False
html_extra_path = ["cluster.schema.json"]
myst_heading_anchors = 3  # links to headings, as forges make them
nitpicky = True
