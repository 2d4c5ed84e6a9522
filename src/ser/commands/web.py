"""`ser export --web`: a page in which the model runs without any server of ours."""

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
        model: folder of a finished run, which is exported first, or a file that was exported already.
        out, int8, backbone: of the export of a run, as of `ser.commands.export.export`.
        runtime: folder or tarball of onnxruntime-web; None: what npm fetched, or fetches now.

    Raises:
        ConfigError, DataError, ArtefactError, LockedError: as of `export`, `read_runtime` and `write_page`.
    """
    page = user_path(folder)
    given = Path(model).suffix == SUFFIX
    if given and (out is not None or int8 or backbone is not None):
        raise ConfigError(f"{model} is exported already: --out, --int8 and --backbone go with the folder of a run")
    refuse_other_content(page)
    files = read_runtime(None if runtime is None else user_path(runtime))
    path = user_path(model) if given else export(model, out, int8=int8, backbone=backbone)
    size = write_page(path, page, files)
    say(f"{page} ({size / 1e6:.1f} MB): a page that asks no other server, for any web server")
    say(f"to look at it here: python -m http.server -b 127.0.0.1 -d {page}")
