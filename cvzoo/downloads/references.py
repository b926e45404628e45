"""Addresses of presets, read strictly."""

import dataclasses
import re
from urllib.parse import unquote, urlsplit

from cvzoo.downloads import environment
from cvzoo.preset_files import PresetError

EXPECTED = (
    "Expected `https://host/path/folder`, perhaps with `#sha256=` and the 64 "
    "hexadecimal digits of its manifest's sha256; or `hf://owner/name`, perhaps with "
    "`/sub/folder` and `@revision`."
)

_THIS_MACHINE = ("localhost", "127.0.0.1")
COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"sha256=([0-9a-f]{64})")
# As `huggingface_hub` checks them, a repository with its owner.
_REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_FOLDER = re.compile(r"\w[\w.+-]*(/\w[\w.+-]*)*", re.ASCII)
_REVISION = re.compile(r"\w[\w.+-]*(/\w[\w.+-]*)*", re.ASCII)
_LONGEST = 2000


@dataclasses.dataclass(frozen=True)
class Reference:
    """Where a preset lies.

    Attributes:
        text: The address, of one spelling.
        name: Name of the folder or repository, which the preset must have.
        is_pinned: Whether the address can only ever mean the same bytes.
    """

    text: str
    name: str
    is_pinned: bool


@dataclasses.dataclass(frozen=True)
class WebReference(Reference):
    """A folder on a server.

    Attributes:
        url: Of the folder, without a slash at the end.
        sha256: Of the manifest, or `None` for any.
    """

    url: str
    sha256: str | None


@dataclasses.dataclass(frozen=True)
class HubReference(Reference):
    """A model repository of the Hugging Face Hub, or a folder in one.

    Attributes:
        repository: `owner/name`.
        folder: Path in the repository, or `""` for all of it.
        revision: Branch, tag or commit, or `None` for the main branch.
    """

    repository: str
    folder: str
    revision: str | None


def parse(text):
    """The `Reference` that an address is; anything odd raises `PresetError`."""
    if not re.fullmatch("[!-~]+", text) or "\\" in text or len(text) > _LONGEST:
        raise _refused(
            text,
            f"an address has at most {_LONGEST} characters, without spaces and "
            "backslashes; write others as %20 and the like",
        )
    scheme, _, rest = text.partition("://")
    if scheme.lower() == "hf":
        return _parse_hub(text, rest)
    if scheme.lower() in ("https", "http"):
        return _parse_web(text)
    raise _refused(text, f"the scheme {scheme!r} is not known")


def check_scheme(url, text):
    """Raises unless a URL is https, or http to this machine where that is allowed.

    Args:
        url: To be asked next; servers redirect.
        text: The address that was given, for the message.
    """
    parts = _split(url, text)
    if parts.scheme == "https":
        return
    if parts.scheme != "http":
        raise _refused(text, f"{url} is not https")
    if not (parts.hostname in _THIS_MACHINE and environment.allows_http()):
        raise _refused(
            text,
            f"{url} is http, which anyone on the way can read and change. Only "
            f"{' and '.join(_THIS_MACHINE)} may be asked by http, with "
            f"{environment.ALLOW_HTTP}=1",
        )


def _parse_web(text):
    check_scheme(text, text)
    parts = _split(text, text)
    if not parts.hostname:
        raise _refused(text, "it has no host")
    if "@" in parts.netloc:
        hidden = text.replace(parts.netloc.rpartition("@")[0], "…", 1)
        raise _refused(hidden, "user names and passwords are not sent")
    if "?" in text:
        raise _refused(text, "a folder has no query")
    path = parts.path.removesuffix("/")
    names = [unquote(name) for name in path.split("/")[1:]]
    if not names or any(_is_odd(name) for name in names):
        raise _refused(text, "the path must lead to a folder, without `.` and `..`")
    pin = _SHA256.fullmatch(parts.fragment)
    if "#" in text and not pin:
        raise _refused(text, f"the pin is '#{parts.fragment}'")
    url = f"{parts.scheme}://{parts.netloc.lower()}{path}"
    return WebReference(
        text=f"{url}#{pin[0]}" if pin else url,
        name=names[-1],
        is_pinned=pin is not None,
        url=url,
        sha256=pin[1] if pin else None,
    )


def _split(url, text):
    try:
        parts = urlsplit(url)
        # Also the port is read only when asked for.
        _ = parts.hostname, parts.port
    except ValueError as error:
        raise _refused(text, f"{url} is not a URL: {error}") from error
    return parts


def _is_odd(name):
    return name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name


def _parse_hub(text, rest):
    place, at, revision = rest.partition("@")
    parts = place.removesuffix("/").split("/")
    repository, folder = "/".join(parts[:2]), "/".join(parts[2:])
    if parts[0] in ("datasets", "spaces", "models"):
        raise _refused(text, "it must be a model repository, owner first")
    if not _REPOSITORY.fullmatch(repository) or re.search(r"--|\.\.", repository):
        raise _refused(text, f"{repository!r} is not `owner/name`")
    if folder and (not _FOLDER.fullmatch(folder) or ".." in folder):
        raise _refused(text, f"{folder!r} is not a folder in a repository")
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise _refused(text, f"{revision!r} is not a branch, tag or commit")
    place = f"{repository}/{folder}" if folder else repository
    return HubReference(
        text=f"hf://{place}@{revision}" if revision else f"hf://{place}",
        name=parts[-1],
        is_pinned=COMMIT.fullmatch(revision) is not None,
        repository=repository,
        folder=folder,
        revision=revision or None,
    )


def _refused(text, why):
    return PresetError(
        f"{text!r:.300} is not the address of a preset: {why}. {EXPECTED}"
    )
