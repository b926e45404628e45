"""Model repositories of the Hugging Face Hub, by `huggingface_hub`.

It says which commit a revision is, how large files are, where they lie, and who asks
(`HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` are its own, and so are small notes in
`HF_HOME`). The bytes come by `transfers`: `hf_hub_download` (2.4.0) writes all that a
server sends, however much, and files of its own beside those of the preset.
"""

import functools
import io

from huggingface_hub import HfApi, errors, hf_hub_url
from huggingface_hub.utils import build_hf_headers

from cvzoo.downloads.answers import TIMEOUTS, Unreachable
from cvzoo.downloads.references import COMMIT
from cvzoo.downloads.transfers import Wanted, transfer
from cvzoo.preset_files import FILES, LARGEST_TEXT, MANIFEST, PresetError

# What an answer of another form makes of `huggingface_hub`, which takes it as it comes.
_WHAT_AN_ODD_ANSWER_RAISES = (AttributeError, LookupError, TypeError, ValueError)


class HubSource:
    """A model repository, or a folder in one, at one commit.

    Args:
        reference: A `HubReference`.
        session: A `requests.Session`.
    """

    def __init__(self, reference, session):
        self.reference = reference
        self.session = session

    @functools.cached_property
    def manifest(self):
        """The bytes of the manifest."""
        size = self._sizes[MANIFEST]
        if size > LARGEST_TEXT:
            raise PresetError(
                f"{MANIFEST} of {self.reference.text} has {size} bytes; expected at "
                f"most {LARGEST_TEXT}."
            )
        file = io.BytesIO()
        self._transfer(MANIFEST, size, file)
        return file.getvalue()

    def save(self, name, size, file):
        """Writes a file of the preset, as `sources.WebSource.save` does."""
        if self._sizes[name] != size:
            raise PresetError(
                f"{name} of {self.reference.text} has {self._sizes[name]} bytes; "
                f"expected {size}, as {MANIFEST} states. Publish the folder again."
            )
        return self._transfer(name, size, file)

    def _transfer(self, name, size, file):
        url = hf_hub_url(
            self.reference.repository,
            name,
            subfolder=self.reference.folder or None,
            revision=self._found.sha,
        )
        # How much it is the Hub has said already, and may not say again.
        wanted = Wanted(url, size, size, build_hf_headers(), must_state_size=False)
        return transfer(self.session, wanted, file)

    @functools.cached_property
    def _found(self):
        """What the Hub says of the repository: its commit and files."""
        found = _asked(
            self.reference,
            lambda: HfApi().model_info(
                self.reference.repository,
                revision=self.reference.revision,
                files_metadata=True,
                timeout=sum(TIMEOUTS),
            ),
        )
        if not isinstance(found.sha, str) or not COMMIT.fullmatch(found.sha):
            raise self._odd(f"expected 40 digits of a commit, found {found.sha!r:.100}")
        if self.reference.is_pinned and found.sha != self.reference.revision:
            raise PresetError(
                f"The Hub gives commit {found.sha} for {self.reference.text}."
            )
        return found

    @functools.cached_property
    def _sizes(self):
        """File of the preset → bytes."""
        files = self._found.siblings or ()
        if not all(isinstance(file.rfilename, str) for file in files):
            raise self._odd("expected texts as names of files")
        sizes = {file.rfilename: file.size for file in files}
        start = f"{self.reference.folder}/" if self.reference.folder else ""
        names = (MANIFEST, *FILES)
        missing = [name for name in names if sizes.get(start + name) is None]
        if missing:
            raise PresetError(
                f"{self.reference.text} is no preset: it lacks {missing}. Publish a "
                "folder that `cvzoo.save_preset` made."
            )
        found = {name: sizes[start + name] for name in names}
        if not all(type(size) is int and size >= 0 for size in found.values()):
            raise self._odd(f"expected sizes in bytes, found {found!r:.300}")
        return found

    def _odd(self, what):
        return _odd(self.reference, what)


def _asked(reference, ask):
    """The Hub's answer; its errors as ours."""
    try:
        return ask()
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        kind = Unreachable if status == 429 or status >= 500 else PresetError
        raise kind(
            f"The Hub refuses {reference.text}: {_said(error)} Is its name right, and "
            "have you access? `hf auth login` says who you are."
        ) from error
    # httpx's errors; OSError: no network, or HF_HUB_OFFLINE.
    except (errors.HTTPError, OSError) as error:
        raise Unreachable(
            f"The Hub cannot be asked for {reference.text}: {_said(error)}"
        ) from error
    except _WHAT_AN_ODD_ANSWER_RAISES as error:
        raise _odd(reference, f"{type(error).__name__}, {_said(error)}") from error


def _odd(reference, what):
    return PresetError(
        f"The Hub's answer on {reference.text} is odd: {what}. Is HF_ENDPOINT a Hub?"
    )


def _said(error):
    """The first line of an error; after it comes what the server sent, a page even."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return "".join(one if one.isprintable() else "�" for one in lines[0][:300])
