"""Servers that answer badly, or mean it badly: an error, and nothing is left."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from cvzoo import downloads, preset_files
from cvzoo.downloads import answers, sources
from cvzoo.preset_files import PresetError
from tests.downloads.servers import NAME, redirect, send

WEIGHTS, MANIFEST = preset_files.WEIGHTS, preset_files.MANIFEST


@pytest.fixture
def assert_refused(url, left):
    """Checks that the preset is refused, and that not one byte is left."""

    def assert_refused(message):
        with pytest.raises(PresetError, match=message):
            downloads.folder_of(url)
        assert left() == []

    return assert_refused


def endless(handler):
    """A body that says that it is as long as wanted, and has no end."""
    handler.close_connection = True
    stated = 16 if handler.path.endswith(MANIFEST) else 5405
    handler.send_response(200)
    handler.send_header("Content-Length", str(stated))
    handler.end_headers()
    while not handler.server.stopped.is_set():
        handler.wfile.write(b"a" * 4096)


def endless_chunks(handler):
    """A body of chunks without an end, which says nothing of its length."""
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while not handler.server.stopped.is_set():
        handler.wfile.write(b"1000\r\n" + b"a" * 4096 + b"\r\n")


def chunks_beside_a_length(handler):
    """A length as it must be, which means nothing, as chunks come."""
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Length", "5405")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while not handler.server.stopped.wait(0.02):
        handler.wfile.write(b"0")


def endless_redirect(handler):
    """A redirect with a body without an end, which must not be read."""
    handler.close_connection = True
    handler.send_response(302)
    handler.send_header("Location", "/nowhere")
    handler.end_headers()
    while not handler.server.stopped.is_set():
        handler.wfile.write(b"a" * 4096)


def zipped(handler):
    send(handler, gzip.compress(bytes(10_000_000)), Content_Encoding="gzip")


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS])
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (redirect("http://example.org/file"), "anyone on the way can read"),
        (redirect("file:///etc/passwd"), "is not https"),
        (redirect("ftp://example.org/file"), "is not https"),
        (redirect("https://[example.org"), "redirects to what is no URL"),
        (redirect("https://example.org/\xff"), "redirects to what is no URL"),
        (redirect("ftp://example.org/\x1b[2J"), r"%1B\[2J is not https"),
        (lambda h: send(h, b"", 302, Location=h.path), "more than 5 times"),
        (endless_redirect, "answered 404"),
        (lambda h: send(h, b"", 304), "answered 304"),
        (lambda h: send(h, b"", 403), "answered 403"),
        (lambda h: send(h, b"", 404), "answered 404"),
        (lambda h: send(h, b"", 500), "answered 500"),
        (lambda h: send(h, b"", Content_Length="many"), "Content-Length of 'many'"),
        (lambda h: send(h, b"", Content_Length="-1"), "Content-Length of '-1'"),
        (
            lambda h: send(h, b"", Content_Length=2**33),
            "Content-Length of '8589934592'",
        ),
        (zipped, "sends compressed data \\('gzip'\\)"),
    ],
)
def test_a_bad_answer_is_refused(server, url, assert_refused, name, answer, message):
    server.answers[f"{url.removeprefix(server.url)}/{name}"] = answer
    assert_refused(message)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda h: send(h, bytes(5404)), "of '5404'; expected 5405 bytes"),
        (lambda h: send(h, bytes(5406)), "of '5406'; expected 5405 bytes"),
        (lambda h: send(h, bytes(5405), Content_Length=None), "of None; expected 5405"),
        (lambda h: send(h, bytes(5000), Content_Length=5405), "cannot be had, tried 4"),
        (lambda h: send(h, bytes(5405)), "altered or damaged. Expected sha256"),
        (endless, "altered or damaged. Expected sha256"),
        (endless_chunks, "of None; expected 5405"),
        (chunks_beside_a_length, "of None; expected 5405"),
    ],
)
def test_weights_of_another_length_or_hash(
    server, url, assert_refused, answer, message
):
    server.answers[f"{url.removeprefix(server.url)}/{WEIGHTS}"] = answer
    assert_refused(message)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda h: send(h, b"<html>Sign in</html>"), "not valid JSON"),
        (lambda h: send(h, b"[1, 2"), "not valid JSON"),
        (lambda h: send(h, b"[" * 100_000), "not valid JSON"),
        (lambda h: send(h, b"{}"), "metadata.json of http"),
        (endless, "not valid JSON"),
        (endless_chunks, "more than the 1000000 bytes expected"),
    ],
)
def test_what_is_no_manifest(server, url, assert_refused, monkeypatch, answer, message):
    monkeypatch.setattr(sources, "LARGEST_TEXT", 1_000_000)
    server.answers[f"{url.removeprefix(server.url)}/{MANIFEST}"] = answer
    assert_refused(message)


def names(manifest, name):
    manifest["files"][name] = manifest["files"].pop(WEIGHTS)


def huge(manifest):
    manifest["tensors"]["huge/kernel"] = {"shape": [2**31], "parts": 1}
    manifest["files"][WEIGHTS]["bytes"] = 2**33


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: names(m, "weights.pkl"), "must list the files"),
        (lambda m: names(m, "../weights.safetensors"), "must list the files"),
        (lambda m: names(m, "/etc/passwd"), "must list the files"),
        (lambda m: m["files"].update(extra=m["files"][WEIGHTS]), "must list the files"),
        (lambda m: m.update(name="other"), "holds the preset 'other'"),
        (lambda m: m.update(name="../other"), "the `name` of a preset must be letters"),
        *(
            (
                lambda m, bad=bad: m["files"][WEIGHTS].update(bad),
                "must have `bytes` and `sha256`",
            )
            for bad in (
                *({"bytes": size} for size in (-1, 5405.0, True, "5405", None)),
                *({"sha256": text} for text in ("", "g" * 64, "a" * 63, 7, None)),
            )
        ),
        (lambda m: m["files"].update({WEIGHTS: []}), "must have `bytes` and `sha256`"),
        (
            lambda m: m["files"]["README.md"].update(bytes=2**22 + 1),
            f"{NAME}/README.md must have at most 4194304 bytes. Found 4194305",
        ),
        (
            lambda m: m["files"][WEIGHTS].update(bytes=50_000_000),
            f"{WEIGHTS} must have at most .* tensors that the manifest states. It "
            "states 50000000",
        ),
        (
            huge,
            f"{NAME}/{WEIGHTS} must have at most 4294967296 bytes. Found 8589934592",
        ),
    ],
)
def test_a_bad_manifest_is_refused_before_other_files_are_asked_for(
    server, url, folder, assert_refused, change, message
):
    manifest = json.loads((folder / MANIFEST).read_bytes())
    change(manifest)
    path = f"{url.removeprefix(server.url)}/{MANIFEST}"
    server.answers[path] = json.dumps(manifest).encode()
    assert_refused(message)
    assert server.paths() == [path]


def test_the_page_on_presets_states_the_limit():
    page = Path(__file__).parents[2] / "docs" / "presets.md"
    limit = f"The manifest has at most {preset_files.LARGEST_TEXT // 2**20} MiB"
    assert limit in page.read_text("utf-8")


def test_slow_servers_leave_nothing(server, url, monkeypatch, assert_refused):
    monkeypatch.setattr(answers, "TIMEOUTS", (5, 0.1))
    path = f"{url.removeprefix(server.url)}/{WEIGHTS}"
    server.answers[path] = lambda handler: server.stopped.wait(20)
    assert_refused("cannot be had, tried 1 times")


def test_a_server_that_cannot_prove_who_it_is_is_refused(server, left):
    # It talks no TLS at all; requests raises the same error as for a certificate.
    url = server.url.replace("http:", "https:")
    with pytest.raises(PresetError, match="certificate is not trusted"):
        downloads.folder_of(f"{url}/small")
    assert left() == []


def test_certificates_that_are_not_there_are_not_the_fault_of_the_cache(
    server, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    url = server.url.replace("http:", "https:")
    with pytest.raises(PresetError, match="cannot be asked: .*nowhere.pem"):
        downloads.folder_of(f"{url}/small")


@pytest.mark.parametrize("name", [MANIFEST, *preset_files.FILES])
def test_one_changed_byte_is_found_in_any_file(server, url, folder, left, name):
    pin = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    path = f"{url.removeprefix(server.url)}/{name}"
    changed = bytearray(server.answers[path])
    changed[len(changed) // 2] ^= 1
    server.answers[path] = bytes(changed)
    with pytest.raises(PresetError, match=f"{name} .*expected sha256|Expected sha256"):
        downloads.folder_of(f"{url}#sha256={pin}")
    assert left() == []


def test_a_file_without_a_byte_is_compared_too(server, url, folder, assert_refused):
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["files"][WEIGHTS]["bytes"] = 0
    path = url.removeprefix(server.url)
    server.answers[f"{path}/{MANIFEST}"] = json.dumps(manifest).encode()
    server.answers[f"{path}/{WEIGHTS}"] = b""
    assert_refused("altered or damaged")
