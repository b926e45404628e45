"""A bar on the terminal for what takes long to download."""

import contextlib
from urllib.parse import unquote, urlsplit

# Bytes from which on a file has a bar.
SHOWN_FROM = 2**20


@contextlib.contextmanager
def bar(url, size):
    """Gives the function that is told how many bytes have come.

    Args:
        url: Of the file, whose name is shown.
        size: Of the file, in bytes, or `None`.
    """
    if size is None or size < SHOWN_FROM:
        yield lambda count: None
        return
    # Only here: rich takes a while to import.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as shown:
        name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
        task = shown.add_task(name, total=size)
        yield lambda count: shown.update(task, completed=count)
