"""Folders that are made whole or not at all."""

import os

import pytest

from cvzoo import folders


def fill(text):
    return lambda folder: (folder / "file").write_text(text)


@pytest.fixture
def old(tmp_path):
    """A folder that was written before."""
    folders.write(tmp_path / "folder", fill("old"))
    return tmp_path / "folder"


def test_a_folder_is_replaced_and_nothing_is_left_beside_it(old):
    folders.write(old, fill("new"))
    assert (old / "file").read_text() == "new"
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("is_done", [True, False])
def test_what_stops_it_between_its_renames_loses_nothing(
    old, monkeypatch, error, which, is_done
):
    replace, calls = os.replace, []

    def stop(source, target):
        calls.append(source)
        if len(calls) != which or is_done:
            replace(source, target)
        if len(calls) == which:
            raise error

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(error):
        folders.write(old, fill("new"))
    assert (old / "file").read_text() == ("new" if which == 2 and is_done else "old")
    assert list(old.parent.iterdir()) == [old]


def test_a_check_can_keep_what_is_there(old):
    def refuse():
        raise ValueError("it stays")

    with pytest.raises(ValueError, match="it stays"):
        folders.write(old, fill("new"), check=refuse)
    assert (old / "file").read_text() == "old"
