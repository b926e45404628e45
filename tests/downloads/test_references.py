"""Addresses of presets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvzoo.downloads import environment, references
from cvzoo.downloads.references import HubReference, WebReference, parse
from cvzoo.preset_files import PresetError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA256 = "a" * 64


@pytest.mark.parametrize(
    ("text", "url", "name"),
    [
        ("https://host/zoo/small", "https://host/zoo/small", "small"),
        ("HTTPS://Host:8443/small/", "https://host:8443/small", "small"),
        ("https://host/a%20b", "https://host/a%20b", "a b"),
        ("http://localhost:80/small", "http://localhost:80/small", "small"),
    ],
)
def test_a_folder_on_a_server(text, url, name):
    assert parse(text) == WebReference(url, name, False, url, None)


def test_a_folder_with_the_hash_of_its_manifest_is_pinned():
    reference = parse(f"https://host/small#sha256={SHA256}")
    assert reference.is_pinned
    assert reference.sha256 == SHA256
    assert reference.url == "https://host/small"


@pytest.mark.parametrize(
    ("text", "repository", "folder", "revision", "name", "is_pinned"),
    [
        ("hf://me/small", "me/small", "", None, "small", False),
        ("hf://me/zoo/a/b", "me/zoo", "a/b", None, "b", False),
        ("hf://me/zoo/a@v1.0", "me/zoo", "a", "v1.0", "a", False),
        ("hf://me/small@refs/pr/1", "me/small", "", "refs/pr/1", "small", False),
        (f"hf://me/small@{COMMIT}", "me/small", "", COMMIT, "small", True),
    ],
)
def test_a_repository(text, repository, folder, revision, name, is_pinned):
    expected = HubReference(text, name, is_pinned, repository, folder, revision)
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://host/small", "scheme 'ftp' is not known"),
        ("file:///etc/passwd", "scheme 'file' is not known"),
        ("http://host/small", "anyone on the way can read"),
        ("http://localhost.evil.org/small", "anyone on the way can read"),
        ("https://", "no host"),
        ("https://host", "must lead to a folder"),
        ("https://host/a/../small", "must lead to a folder"),
        ("https://host/a/%2e%2E/small", "must lead to a folder"),
        ("https://host//small", "must lead to a folder"),
        ("https://host/a%2fsmall", "must lead to a folder"),
        ("https://host/small?token=1", "no query"),
        ("https://host/small#main", "the pin is '#main'"),
        (f"https://host/small#sha256={SHA256[:-1]}", "the pin is"),
        (f"https://host/small#sha256={SHA256.upper()}", "the pin is"),
        ("https://host:port/small", "not a URL"),
        ("https://[host/small", "not a URL"),
        ("https://host/a small", "without spaces"),
        ("https://host/" + "a" * 2000, "at most 2000 characters"),
        ("hf://small", "'small' is not `owner/name`"),
        ("hf://me/sm--all", "is not `owner/name`"),
        ("hf://datasets/me/small", "must be a model repository"),
        ("hf://me/zoo/../small", "not a folder in a repository"),
        ("hf://me/small@", "not a branch, tag or commit"),
        ("hf://me/small@a..b", "not a branch, tag or commit"),
        (f"hf://me/small#sha256={SHA256}", "is not `owner/name`"),
    ],
)
def test_what_is_no_address_is_refused_and_told_how_one_looks(text, message):
    with pytest.raises(PresetError, match=message) as caught:
        parse(text)
    assert references.EXPECTED in str(caught.value)


def test_passwords_are_refused_and_not_repeated():
    with pytest.raises(PresetError, match="passwords are not sent") as caught:
        parse("https://me:secret@host/small")
    assert "secret" not in str(caught.value)


def test_this_machine_is_asked_by_http_only_where_that_is_allowed(monkeypatch):
    monkeypatch.delenv(environment.ALLOW_HTTP)
    with pytest.raises(PresetError, match="CVZOO_ALLOW_HTTP=1"):
        parse("http://127.0.0.1/small")


@given(st.sampled_from(["https://", "hf://", "http://localhost", ""]), st.text())
def test_any_text_is_read_or_refused_and_then_reads_the_same(start, rest):
    try:
        reference = parse(start + rest)
    except PresetError:
        return
    assert parse(reference.text) == reference
    assert reference.name not in ("", ".", "..") and "/" not in reference.name


@given(st.from_regex(r"hf://\w+/\w+(/\w+){0,2}(@\w+)?", fullmatch=True))
def test_repositories_of_any_characters_are_ascii_or_refused(text):
    try:
        assert parse(text).text == text
        assert text.isascii()
    except PresetError:
        assert not text.isascii() or text.startswith(("hf://datasets", "hf://spaces"))
