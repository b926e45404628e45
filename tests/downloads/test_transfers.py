"""One file from a server: what is asked, and what is done when it breaks."""

import hashlib
import io
import re

import pytest
import requests

from cvzoo.downloads import answers, progress, transfers
from cvzoo.downloads.answers import Unreachable
from cvzoo.downloads.transfers import Wanted
from cvzoo.preset_files import PresetError
from tests.downloads import servers
from tests.downloads.servers import hang_up, redirect, send

DATA = bytes(range(256)) * 100
SIZE = len(DATA)


def fetch(server, size=SIZE, **settings):
    """What is received, its hash compared."""
    file = io.BytesIO()
    with requests.Session() as session:
        wanted = Wanted(f"{server.url}/file", SIZE, size, **settings)
        found = transfers.transfer(session, wanted, file)
    assert found == hashlib.sha256(file.getvalue()).hexdigest()
    return file.getvalue()


def breaking(after, ranges=True):
    """Answers that break off after some bytes; with or without parts of files."""

    def answer(handler):
        stated = re.match(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        first = int(stated[1]) if stated and ranges else 0
        handler.send_response(206 if stated and ranges else 200)
        if stated and ranges:
            last = SIZE - 1
            handler.send_header("Content-Range", f"bytes {first}-{last}/{SIZE}")
        handler.send_header("Content-Length", str(SIZE - first))
        handler.end_headers()
        handler.wfile.write(DATA[first : first + after])
        handler.wfile.flush()
        handler.close_connection = True

    return answer


def test_what_is_asked_for_comes(server):
    server.answers["/file"] = DATA
    assert fetch(server) == DATA
    ((_, headers),) = server.asked
    assert headers["Accept-Encoding"] == "identity"
    assert "Range" not in headers


def test_a_broken_download_goes_on_where_it_broke(server):
    server.answers["/file"] = breaking(10_000)
    assert fetch(server) == DATA
    ranges = [headers.get("Range") for _, headers in server.asked]
    assert ranges == [None, "bytes=10000-", "bytes=20000-"]


def test_where_there_are_no_parts_it_begins_anew_and_ends_at_some_time(server):
    server.answers["/file"] = breaking(10_000, ranges=False)
    with pytest.raises(Unreachable, match="tried 4 times: .*10000"):
        fetch(server)
    assert len(server.asked) == transfers.ATTEMPTS


def test_a_busy_server_is_asked_again(server):
    def busy(handler):
        server.answers["/file"] = DATA
        send(handler, b"", 503)

    server.answers["/file"] = busy
    assert fetch(server) == DATA
    assert len(server.asked) == 2


def test_a_server_that_hangs_up_is_asked_a_few_times(server):
    server.answers["/file"] = hang_up
    with pytest.raises(Unreachable, match="tried 4 times"):
        fetch(server)


def test_where_no_server_is_one_attempt_is_enough():
    with servers.running() as gone:
        pass
    with pytest.raises(Unreachable, match="tried 1 times.*refused"):
        fetch(gone)


def test_silence_ends(server, monkeypatch):
    monkeypatch.setattr(answers, "TIMEOUTS", (5, 0.1))
    server.answers["/file"] = lambda handler: server.stopped.wait(20)
    with pytest.raises(Unreachable, match="tried 1 times.*timed out"):
        fetch(server)


def trickle(server, start):
    """An answer that sends its beginning, and then a letter now and then."""

    def answer(handler):
        handler.close_connection = True
        handler.wfile.write(start)
        while not server.stopped.wait(0.02):
            handler.wfile.write(b"a")

    return answer


def test_headers_without_an_end_are_given_up(server, monkeypatch):
    monkeypatch.setattr(answers, "BEGIN", 0.3)
    server.answers["/file"] = trickle(server, b"HTTP/1.1 200 OK\r\nX-Long: ")
    with pytest.raises(Unreachable, match="No answer began within 0.3 seconds"):
        fetch(server)


def test_a_body_that_trickles_is_given_up(server, monkeypatch):
    monkeypatch.setattr(transfers, "GRACE", 0.1)
    start = f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n".encode()
    server.answers["/file"] = trickle(server, start)
    with pytest.raises(Unreachable, match="too slow: .* bytes in"):
        fetch(server)


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize(
    "start",
    [
        b"1",  # the length of a chunk
        b"1;",  # what may stand beside it
        b"4\r\nabcd",  # the end of a chunk
        b"0\r\nX-Long: ",  # the headers after the last one
    ],
)
def test_chunks_that_trickle_are_given_up(server, monkeypatch, start, size):
    monkeypatch.setattr(transfers, "GRACE", 0.2)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.answers["/file"] = trickle(server, head + start)
    with pytest.raises(Unreachable, match="too slow: . bytes in"):
        fetch(server, size=size, must_state_size=False)


def test_a_connection_that_is_fast_enough_is_kept(server, monkeypatch):
    monkeypatch.setattr(transfers, "GRACE", 0.5)

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        for first in range(0, SIZE, 5120):
            handler.wfile.write(DATA[first : first + 5120])
            server.stopped.wait(0.15)

    server.answers["/file"] = answer
    assert fetch(server) == DATA


@pytest.mark.parametrize("target", ["/moved", "moved", "URL/moved"])
def test_redirects_are_followed(server, target):
    server.answers["/file"] = redirect(target.replace("URL", server.url))
    server.answers["/moved"] = DATA
    assert fetch(server) == DATA


def test_a_token_is_not_sent_on_to_another_host(server):
    headers = {"Authorization": "Bearer secret", "X-Other": "kept"}
    server.answers |= {"/file": redirect("/moved"), "/moved": DATA}
    fetch(server, headers=headers)
    with servers.running() as other:
        other.answers["/moved"] = DATA
        server.answers["/file"] = redirect(f"{other.url}/moved")
        fetch(server, headers=headers)
        found = [headers for _, headers in server.asked + other.asked]
    assert [one.get("Authorization") for one in found] == ["Bearer secret"] * 3 + [None]
    assert all(one["X-Other"] == "kept" for one in found)


def test_netrc_is_not_looked_at(server, tmp_path):
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login me password secret\n")
    netrc.chmod(0o600)
    server.answers["/file"] = DATA
    fetch(server)
    assert "Authorization" not in server.asked[0][1]


def test_without_a_stated_size_there_is_a_limit(server):
    server.answers["/file"] = lambda handler: send(handler, DATA, Content_Length=None)
    assert fetch(server, size=None) == DATA
    assert fetch(server, must_state_size=False) == DATA
    server.answers["/file"] = lambda h: send(h, DATA + b"a", Content_Length=None)
    with pytest.raises(PresetError, match="more than the 25600 bytes expected"):
        fetch(server, size=None)


def test_another_part_than_the_one_asked_for_is_refused(server):
    server.answers["/file"] = lambda h: send(h, DATA, 206, Content_Range="bytes 5-9/9")
    with pytest.raises(PresetError, match="the part 'bytes 5-9/9'"):
        fetch(server)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_large_files_have_a_bar_on_terminals_only(
    server, monkeypatch, capsys, is_terminal
):
    monkeypatch.setattr(progress, "SHOWN_FROM", 1)
    monkeypatch.setenv("FORCE_COLOR" if is_terminal else "NO_COLOR", "1")
    server.answers["/file"] = DATA
    fetch(server)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("file" in printed.err) == is_terminal
