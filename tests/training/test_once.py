"""Folders that are made once, whole or not at all."""

import concurrent.futures
import multiprocessing
import time

import pytest

from training.data import DataError, once


def counted(folder, started):
    """Makes a folder, and notes in another one that this process is there."""

    def fill(aside):
        noted("made", started)
        (aside / "file").write_text("whole")
        # Another one waits meanwhile.
        end = time.monotonic() + 20
        while len(list(started.glob("asked*"))) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.2)

    noted("asked", started)
    once.make(folder, fill, "made")
    return (folder / "file").read_text()


def noted(word, folder):
    name = f"{word} {multiprocessing.current_process().pid} {time.monotonic_ns()}"
    (folder / name).touch()


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_of_two_that_ask_at_once_one_makes(tmp_path, kind):
    if kind == "threads":
        pool = concurrent.futures.ThreadPoolExecutor(2)
    else:
        spawn = multiprocessing.get_context("spawn")
        pool = concurrent.futures.ProcessPoolExecutor(2, spawn)
    started, folder = tmp_path / "started", tmp_path / "sets" / "made"
    started.mkdir()
    with pool:
        jobs = [pool.submit(counted, folder, started) for _ in range(2)]
        assert [job.result(60) for job in jobs] == ["whole", "whole"]
    assert len(list(started.glob("asked*"))) == 2
    assert len(list(started.glob("made*"))) == 1
    assert {path.name for path in folder.parent.iterdir()} == {"made", "lock"}


def test_what_is_there_is_not_made_again(tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    once.make(folder, None, "made")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyError("a")])
def test_what_fails_leaves_nothing(tmp_path, error):
    def fill(aside):
        (aside / "file").touch()
        raise error

    folder = tmp_path / "made"
    is_of_the_system = isinstance(error, OSError)
    with pytest.raises(DataError if is_of_the_system else KeyError) as raised:
        once.make(folder, fill, "set")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    if is_of_the_system:
        message = str(raised.value)
        assert "'set' could not be made" in message and "No space left" in message
    once.make(folder, lambda aside: (aside / "whole").touch(), "set")
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_what_a_kill_left_is_removed(tmp_path):
    left = tmp_path / "made.part"
    left.mkdir()
    (left / "half").touch()
    once.make(tmp_path / "made", lambda aside: (aside / "whole").touch(), "set")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["whole"]
    assert not left.exists()


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path):
    (tmp_path / "sets").write_text("a file")
    with pytest.raises(DataError, match="none of it is in.*start the same command"):
        once.make(tmp_path / "sets" / "made", None, "set")
