"""Where files of a preset come from: a server, or the Hugging Face Hub."""

import contextlib
import functools
import hashlib
import io

import requests

from cvzoo.downloads.references import HubReference
from cvzoo.downloads.transfers import Wanted, transfer
from cvzoo.preset_files import LARGEST_TEXT, MANIFEST, PresetError


@contextlib.contextmanager
def opened(reference):
    """The source of a `Reference`, with a connection that is closed in the end."""
    with requests.Session() as session:
        if isinstance(reference, HubReference):
            yield _hub_source(reference, session)
        else:
            yield WebSource(reference, session)


def _hub_source(reference, session):
    try:
        from cvzoo.downloads.hub import HubSource
    except ImportError as error:
        raise PresetError(
            f"{reference.text} needs the package huggingface_hub. Install it by "
            '`pip install "cvzoo[hub]"`.'
        ) from error
    return HubSource(reference, session)


class WebSource:
    """A folder on a server.

    Args:
        reference: A `WebReference`.
        session: A `requests.Session`.
    """

    def __init__(self, reference, session):
        self.reference = reference
        self.session = session

    @functools.cached_property
    def manifest(self):
        """The bytes of the manifest, of the sha256 in the address if it has one."""
        file = io.BytesIO()
        wanted = Wanted(f"{self.reference.url}/{MANIFEST}", LARGEST_TEXT)
        transfer(self.session, wanted, file)
        data = file.getvalue()
        found, pin = hashlib.sha256(data).hexdigest(), self.reference.sha256
        if pin not in (None, found):
            raise PresetError(
                f"{wanted.url} is another than the address says: expected sha256 "
                f"{pin}, found {found}. Ask whoever gave you the address whether the "
                "preset was changed."
            )
        return data

    def save(self, name, size, file):
        """Writes a file of the preset.

        Args:
            name: Its name.
            size: Its size in bytes, as the manifest states it.
            file: A binary file to write to.

        Returns:
            The sha256 of what was written, in hexadecimal.
        """
        wanted = Wanted(f"{self.reference.url}/{name}", size, size)
        return transfer(self.session, wanted, file)
