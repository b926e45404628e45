"""One file from a server, of the stated size or none.

Why not `keras.utils.get_file`: in Keras 3.15.1 it has no limit of size and no timeout,
follows redirects to anything, also http, and writes to /tmp/.keras where the cache
cannot be written.
"""

import contextlib
import dataclasses
import hashlib
import re
import threading
import time

from cvzoo.downloads import answers, progress
from cvzoo.downloads.answers import Broken, NoAnswer, Unreachable
from cvzoo.preset_files import PresetError

ATTEMPTS = 4
# Seconds before the second attempt, twice as many before the third, and so on.
PAUSE = 1.0
# Bytes in a second, on average after GRACE seconds; what is slower is given up.
SLOWEST = 1000
GRACE = 30
_LARGEST_BLOCK = 2**16


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What to download.

    Attributes:
        url: Where from.
        limit: Most bytes that may come.
        size: How many must come, or `None` where only the limit is known.
        headers: More headers of the request.
        must_state_size: Whether the server has to say beforehand that it sends `size`.
    """

    url: str
    limit: int
    size: int | None = None
    headers: dict = dataclasses.field(default_factory=dict)
    must_state_size: bool = True


def transfer(session, wanted, file):
    """Writes what is `Wanted` into a file, going on where a connection broke.

    Args:
        session: A `requests.Session`.
        wanted: A `Wanted`.
        file: A binary file, empty; not more than `wanted.limit` bytes are written.

    Returns:
        The sha256 of what was written, in hexadecimal.

    Raises:
        PresetError: The server refuses, or what comes is not of that size.
        Unreachable: There is no answer, or it breaks off again and again.
    """
    received = _Received(file)
    with progress.bar(wanted.url, wanted.size) as advance:
        for attempt in range(ATTEMPTS):
            time.sleep(PAUSE * attempt)
            try:
                _attempt(session, wanted, received, advance)
                return received.sha256.hexdigest()
            except Broken as error:
                last = error
                if isinstance(error, NoAnswer) and not received.count:
                    break
    raise Unreachable(f"{wanted.url} cannot be had, tried {attempt + 1} times: {last}.")


class _Received:
    """What has come so far."""

    def __init__(self, file):
        self.file = file
        self.restart()

    def restart(self):
        self.file.seek(0)
        self.file.truncate()
        self.count = 0
        self.sha256 = hashlib.sha256()

    def write(self, block):
        self.file.write(block)
        self.sha256.update(block)
        self.count += len(block)


def _attempt(session, wanted, received, advance):
    # Compressed bodies could be small and become large.
    headers = {**wanted.headers, "Accept-Encoding": "identity"}
    if wanted.size is not None and received.count:
        # Were the file another one by now, its sha256 would tell.
        headers["Range"] = f"bytes={received.count}-"
    with contextlib.closing(answers.answer(session, wanted.url, headers)) as response:
        _check_part(response, wanted, received)
        _check_length(response, wanted, received)
        _read(response.raw, wanted, received, advance)
    if wanted.size is not None and received.count < wanted.size:
        raise Broken(f"only {received.count} of {wanted.size} bytes came")


def _check_part(response, wanted, received):
    """Begins anew where the whole file comes; raises where another part does."""
    if response.status_code != 206:
        received.restart()
        return
    stated = response.headers.get("Content-Range", "")
    if not stated.startswith(f"bytes {received.count}-"):
        raise PresetError(
            f"{wanted.url} sends the part {stated!r:.50} of a file; the one from byte "
            f"{received.count} was expected."
        )


def _check_length(response, wanted, received):
    """Raises unless an answer says that it sends as much as may come."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise PresetError(
            f"{wanted.url} sends compressed data ({encoding!r:.50}), which is not "
            "read. Let the server send files as they are."
        )
    # Beside chunks a length means nothing.
    is_chunked = "Transfer-Encoding" in response.headers
    stated = None if is_chunked else response.headers.get("Content-Length")
    if stated is None and (wanted.size is None or not wanted.must_state_size):
        return
    length = int(stated) if re.fullmatch("[0-9]{1,18}", stated or "") else -1
    exact = None if wanted.size is None else wanted.size - received.count
    if not 0 <= length <= wanted.limit or exact not in (None, length):
        raise PresetError(
            f"{wanted.url} states a Content-Length of {stated!r:.50}; expected "
            f"{f'at most {wanted.limit}' if exact is None else exact} bytes. Nothing "
            "of it was read."
        )


def _read(raw, wanted, received, advance):
    with _fast_enough(raw, wanted, received):
        while block := _block(raw, wanted.limit + 1 - received.count):
            if received.count + len(block) > wanted.limit:
                raise PresetError(
                    f"{wanted.url} sends more than the {wanted.limit} bytes expected."
                )
            received.write(block)
            advance(received.count)


@contextlib.contextmanager
def _fast_enough(raw, wanted, received):
    """Breaks the connection off once too little has come, from another thread.

    Timeouts of sockets begin anew with each byte, so that the line with the length of
    a chunk could last for days.
    """
    started, before = time.monotonic(), received.count
    done, is_late = threading.Event(), threading.Event()

    def left():
        until = started + GRACE + (received.count - before) / SLOWEST
        return until - time.monotonic()

    def watch():
        while (seconds := left()) > 0:
            if done.wait(seconds):
                return
        is_late.set()
        # It may have ended meanwhile.
        with contextlib.suppress(OSError, RuntimeError):
            raw.shutdown()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except Exception:
        if not is_late.is_set():
            raise
    finally:
        done.set()
        watcher.join()
    if is_late.is_set():
        raise Unreachable(
            f"{wanted.url} is too slow: {received.count - before} bytes in "
            f"{time.monotonic() - started:.0f} seconds."
        )


def _block(raw, amount):
    """What has come, at most that much; `read` would wait for all of it."""
    amount = min(amount, _LARGEST_BLOCK)
    return answers.reading(lambda: raw.read1(amount, decode_content=False))
