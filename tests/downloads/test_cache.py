"""What is downloaded once is there."""

import concurrent.futures
import errno
import hashlib
import os
import resource
import shutil

import pytest

from cvzoo import catalogue, downloads, preset_files
from cvzoo.downloads import cache, entries, environment
from cvzoo.preset_files import PresetError
from tests.downloads.servers import contents, hang_up

FILES = {preset_files.MANIFEST, *preset_files.FILES}


def pinned(url, folder):
    data = (folder / preset_files.MANIFEST).read_bytes()
    return f"{url}#sha256={hashlib.sha256(data).hexdigest()}"


def test_the_folder_of_an_address_has_the_five_files(url, folder, home):
    found = catalogue.find(url)
    assert contents(found) == contents(folder)
    assert found.is_relative_to(home)
    assert folder.name in found.parent.name


def test_of_an_unchanged_preset_only_the_manifest_is_asked_for_again(server, url):
    first = downloads.folder_of(url)
    assert len(server.asked) == 5
    assert downloads.folder_of(url) == first
    assert server.paths()[5:] == [server.paths()[0]]


def test_a_pinned_preset_is_not_asked_for_again(server, url, folder):
    address = pinned(url, folder)
    first = downloads.folder_of(address)
    asked = len(server.asked)
    assert downloads.folder_of(address) == first
    assert len(server.asked) == asked == 5


def test_what_is_cached_and_has_not_changed_needs_no_lock(url, monkeypatch):
    first = downloads.folder_of(url)
    monkeypatch.setattr(entries.Entry, "locked", None)
    assert downloads.folder_of(url) == first


def test_threads_download_each_file_once(server, url, folder):
    address = pinned(url, folder)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        folders = set(threads.map(downloads.folder_of, [address] * 4))
    assert len(folders) == 1
    assert sorted(server.paths()) == sorted(set(server.paths()))


def test_another_manifest_than_the_pinned_one_is_refused(url, folder, renew, left):
    address = pinned(url, folder)
    renew("another")
    with pytest.raises(PresetError, match="another than the address says"):
        downloads.folder_of(address)
    assert left() == []


def test_a_changed_preset_is_downloaded_and_the_former_stays_once(url, renew):
    folders = []
    for description in ("first", "second", "third"):
        renew(description)
        folders.append(downloads.folder_of(url))
        assert preset_files.read_manifest(folders[-1])["description"] == description
    assert [folder.exists() for folder in folders] == [False, True, True]


def test_a_changed_preset_that_is_damaged_leaves_the_former(server, url, folder, renew):
    first = downloads.folder_of(url)
    renew("second")
    server.answers[server.paths()[-1]] = b"damaged"
    with pytest.raises(PresetError):
        downloads.folder_of(url)
    assert contents(first).keys() == FILES
    assert [path for path in first.parent.iterdir() if path.is_dir()] == [first]


def test_without_a_server_the_cached_preset_is_used_with_a_warning(server, url):
    first = downloads.folder_of(url)
    server.answers[server.paths()[0]] = hang_up
    with pytest.warns(UserWarning, match="downloaded before is used"):
        assert downloads.folder_of(url) == first


def test_a_preset_that_was_taken_away_is_an_error_although_cached(server, url):
    downloads.folder_of(url)
    server.answers.clear()
    with pytest.raises(PresetError, match="answered 404"):
        downloads.folder_of(url)


def test_offline_no_server_is_asked(server, url, monkeypatch):
    monkeypatch.setenv(environment.OFFLINE, "1")
    with pytest.raises(PresetError, match="not in the cache.*CVZOO_OFFLINE is set"):
        downloads.folder_of(url)
    monkeypatch.delenv(environment.OFFLINE)
    first = downloads.folder_of(url)
    asked = len(server.asked)
    monkeypatch.setenv(environment.OFFLINE, "1")
    assert downloads.folder_of(url) == first
    assert len(server.asked) == asked


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", ["shorter", "other bytes", "gone"])
def test_a_damaged_file_in_the_cache_is_replaced(url, folder, name, damage):
    path = downloads.folder_of(url) / name
    if damage == "shorter":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "other bytes":
        path.write_bytes(bytes(path.stat().st_size))
        os.utime(path, ns=(0, 0))
    else:
        path.unlink()
    assert contents(downloads.folder_of(url)) == contents(folder)


def test_a_copy_of_a_cache_is_as_good(server, url, home, monkeypatch):
    downloads.folder_of(url)
    copied = home.with_name("copied")
    shutil.copytree(home, copied, copy_function=shutil.copyfile)
    monkeypatch.setenv(environment.HOME, str(copied))
    monkeypatch.setenv(environment.OFFLINE, "1")
    assert downloads.folder_of(url).is_relative_to(copied)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"reference": "hf://a/b"}'])
def test_a_damaged_record_is_made_again(url, folder, text):
    entry = downloads.folder_of(url).parent
    before = (entry / "record.json").read_bytes()
    (entry / "record.json").write_text(text)
    assert contents(downloads.folder_of(url)) == contents(folder)
    assert len((entry / "record.json").read_bytes()) == len(before)


def test_a_record_leads_nowhere_else(url, folder, tmp_path):
    entry = downloads.folder_of(url).parent
    record = (entry / "record.json").read_text()
    name = downloads.folder_of(url).name
    shutil.copytree(folder, tmp_path / "other")
    (entry / "record.json").write_text(record.replace(f'"{name}"', '"../../../other"'))
    assert downloads.folder_of(url) == entry / name


def test_what_a_killed_process_left_is_removed(url, home, left):
    entry = downloads.folder_of(url).parent
    shutil.rmtree(home)
    (entry / "aside" / "deep").mkdir(parents=True)
    (entry / "aside" / "weights.safetensors").write_bytes(b"half")
    found = downloads.folder_of(url)
    assert {path.name for path in left()} == {"record.json", *FILES}
    assert {path for path in entry.iterdir() if path.is_dir()} == {found}


def test_a_cache_that_cannot_be_written_is_named(url, home, left):
    home.write_text("a file")
    with pytest.raises(PresetError, match=f"{home} cannot be used.*set CVZOO_HOME"):
        downloads.folder_of(url)
    assert left() == [home]


@pytest.mark.parametrize("bytes_left", [0, 1000, 5000])
def test_a_full_disk_leaves_nothing(url, left, bytes_left):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, before[1]))
    try:
        with pytest.raises(PresetError, match="File too large.*Make room"):
            downloads.folder_of(url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left() == []


def test_a_disk_that_is_full_for_the_record_leaves_nothing(url, left, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cvzoo.downloads.entries.json.dumps", full)
    with pytest.raises(PresetError, match="No space left"):
        downloads.folder_of(url)
    assert left() == []


def test_an_interrupted_download_leaves_nothing(url, left, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "_to_disk", interrupt)
    with pytest.raises(KeyboardInterrupt):
        downloads.folder_of(url)
    assert left() == []


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.setenv(environment.HOME, "~/mine")
    assert environment.cache_home() == tmp_path / "mine"
    monkeypatch.delenv(environment.HOME)
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/caches")
    assert str(environment.cache_home()) == "/var/caches/cvzoo"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert environment.cache_home() == tmp_path / ".cache" / "cvzoo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert environment.cache_home() == tmp_path / ".cache" / "cvzoo"


def test_names_and_folders_stay_what_they_were(server, folder):
    assert catalogue.find(folder.name) == catalogue.SHIPPED / folder.name
    assert catalogue.find(folder) == folder
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 300, "^No preset is called 'a{99}\\. Known"),
        ("a/" * 3000, "^No preset in folder [a/]{300}: it has no metadata.json"),
    ],
)
def test_names_too_long_for_a_file_are_not_known(name, message):
    with pytest.raises(PresetError, match=message):
        catalogue.find(name)
