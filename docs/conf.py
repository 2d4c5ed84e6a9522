"""Settings of the documentation site: `make docs` builds it, without network, and stops at the first broken link or failing cell."""

import os
import shutil
import sys
from pathlib import Path

import ser

HERE = Path(__file__).parent
WORKSPACE = HERE / "_build" / "tutorials"
"""Folder in which the cells of the tutorials run, one tutorial after the other."""

sys.path.insert(0, str(HERE.parent / "scripts"))
from write_reference import write_reference  # noqa: E402 - the scripts are no package

write_reference(HERE / "_generated")
WORKSPACE.mkdir(parents=True, exist_ok=True)
STARTUP = WORKSPACE.parent / "ipython" / "profile_default" / "startup"
STARTUP.mkdir(parents=True, exist_ok=True)
shutil.copy(HERE / "tutorials" / "startup.py", STARTUP)
os.environ |= {"SER_TUTORIALS": str(WORKSPACE), "IPYTHONDIR": str(STARTUP.parents[1])}
os.environ |= {"COLUMNS": "76", "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

project = "ser"
author = "The ser authors"
version = release = ser.__version__
project_copyright = "The ser authors. MIT licence"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_generated"]
source_suffix = {".md": "myst-nb"}
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r".*")]  # types of other packages: no inventory of theirs is fetched

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

nb_execution_mode = "force"
nb_execution_timeout = 900  # seconds a cell; ends a hang, and a busy machine needs many times what an idle one does
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_typehints = "description"
autodoc_member_order = "bysource"
default_role = "code"  # as in Markdown: docstrings put names between single backticks
highlight_language = "none"
smartquotes = False  # -- begins an option

html_theme = "furo"
html_title = f"ser {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
