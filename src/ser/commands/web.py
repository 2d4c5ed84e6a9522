"""`ser export --web`: write a page in which the model runs in the browser."""

from pathlib import Path

from ser.commands.export import SUFFIX, export
from ser.errors import ConfigError
from ser.export.browser_runtime import read_runtime
from ser.export.page import refuse_other_content, write_page
from ser.home import user_path
from ser.system.console import say


def export_page(
    model: str, folder: str, *, out: str | None = None, int8: bool = False, backbone: str | None = None, runtime: str | None = None
) -> None:
    """Write the page of a model into `folder`.

    Args:
        model: folder of a finished run, which is exported first, or an exported file.
        out, int8, backbone: for the export of a run, see `ser.commands.export.export`.
        runtime: folder or tarball of onnxruntime-web; None: downloaded by npm, once.

    Raises:
        ConfigError, DataError, ArtefactError, LockedError: see `export`, `read_runtime` and `write_page`.
    """
    page = user_path(folder)
    given = Path(model).suffix == SUFFIX
    if given and (out is not None or int8 or backbone is not None):
        raise ConfigError(f"{model} is an exported file: --out, --int8 and --backbone are for the folder of a run")
    refuse_other_content(page)
    files = read_runtime(None if runtime is None else user_path(runtime))
    path = user_path(model) if given else export(model, out, int8=int8, backbone=backbone)
    size = write_page(path, page, files)
    say(f"{page} ({size / 1e6:.1f} MB): a page without further requests, for any web server")
    say(f"open it locally: python -m http.server -b 127.0.0.1 -d {page}")
