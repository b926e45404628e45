"""The bytes of a file that stays on disk, given in slices."""

import hashlib
import os

_PIECE = 2**18


class FileBytes:
    """Bytes of an open file, of which each slice is read when it is asked for.

    The file may be renamed or replaced meanwhile: they are still those of the file that
    was opened.

    Args:
        file: A plain file, open for reading bytes.
    """

    def __init__(self, file):
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def __len__(self):
        return self._size

    def __getitem__(self, part):
        """The bytes of a slice, whose step is 1.

        Raises:
            OSError: The file became shorter since.
        """
        start, stop, _ = part.indices(self._size)
        data = bytearray(max(0, stop - start))
        self._file.seek(start)
        if self._file.readinto(data) < len(data):
            raise OSError(f"{self._file.name} became shorter while it was read")
        return data

    def sha256(self):
        """The hash of all bytes, in hexadecimal digits."""
        found = hashlib.sha256()
        for start in range(0, self._size, _PIECE):
            found.update(self[start : start + _PIECE])
        return found.hexdigest()
