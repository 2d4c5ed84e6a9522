"""What the kernel of a tutorial runs before its first cell: the shared folder, and a `%%bash` that fails where its command fails."""

import os
import subprocess

from IPython.core.magic import register_cell_magic

os.chdir(os.environ["SER_TUTORIALS"])


@register_cell_magic
def bash(_line: str, cell: str) -> None:
    """Run the cell without a terminal, so that no progress bar is drawn."""
    done = subprocess.run(["bash", "-e", "-c", cell], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout, end="")
    done.check_returncode()
