"""The command that downloads and prepares a data set. Nothing is downloaded here."""

import numpy as np
import pytest
import requests

from tests.training import tiny_images
from training import data, prepare
from training.data import images


@pytest.fixture
def tiny(monkeypatch):
    """The tiny set, as one that the command knows."""
    monkeypatch.setitem(data._MODULES, "tiny", "images")
    monkeypatch.setitem(images.SETS, "tiny", tiny_images.image_set())
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    return images.SETS["tiny"]


@pytest.fixture
def offline(monkeypatch):
    """Every download fails at once."""

    def get(*args, **kwargs):
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setattr(requests.Session, "get", get)


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def test_a_prepared_set_is_read_from_its_folder(tiny, tmp_path, monkeypatch, capsys):
    assert prepare.main(["tiny", "--data-dir", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"tiny is in {tmp_path / 'tiny_images'}." in printed
    assert f"Set TFDS_DATA_DIR={tmp_path} " in printed
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    _, labels = tiny.load("test").batch(100).get_single_element()
    np.testing.assert_array_equal(labels, np.arange(30) % 10)
    # Again: it finds what is there, and says nothing of a folder that is known.
    before = files_in(tmp_path)
    assert prepare.main(["tiny"]) == 0
    assert files_in(tmp_path) == before
    assert "TFDS_DATA_DIR" not in capsys.readouterr().out


def test_without_a_network_nothing_is_made(offline, tmp_path, capsys):
    assert prepare.main(["kmnist", "--data-dir", str(tmp_path)]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("training.prepare: The data set 'kmnist' could not be")
    assert f"none of it is in {tmp_path / 'kmnist'}" in message
    assert "Name or service not known" in message and "the same command" in message
    assert not list((tmp_path / "kmnist").iterdir())


def test_a_wrong_download_is_refused(offline, tmp_path, capsys):
    by_hand = tmp_path / "by hand"
    by_hand.mkdir()
    (by_hand / "cifar-10-binary.tar.gz").write_bytes(b"not it")
    folder = tmp_path / "sets"
    options = ["--data-dir", str(folder), "--manual-dir", str(by_hand)]
    assert prepare.main(["cifar10", *options]) == 2
    assert "wrong checksum" in capsys.readouterr().err
    assert not list((folder / "cifar10").iterdir())


def test_what_was_begun_is_not_kept(tiny, tmp_path, monkeypatch, capsys):
    whole = tiny_images.TinyImages._generate_examples

    def interrupted(self, count):
        yield from whole(self, count // 2)
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tiny_images.TinyImages, "_generate_examples", interrupted)
        assert prepare.main(["tiny", "--data-dir", str(tmp_path)]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not list((tmp_path / "tiny_images").iterdir())
    assert prepare.main(["tiny", "--data-dir", str(tmp_path)]) == 0


def test_a_damaged_set_is_told_of_and_not_called_prepared(tiny, tmp_path, capsys):
    assert prepare.main(["tiny", "--data-dir", str(tmp_path)]) == 0
    (shard,) = (tmp_path / "tiny_images").rglob("*-test.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:100])
    capsys.readouterr()
    assert prepare.main(["tiny", "--data-dir", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert f"'tiny' in {tmp_path / 'tiny_images'} is damaged" in printed.err
    assert "tiny is in" not in printed.out


@pytest.mark.parametrize("name", ["digits", "radio"])
def test_sets_that_need_no_preparation_say_so(name, capsys):
    assert prepare.main([name]) == 0
    assert f"{name} needs no preparation" in capsys.readouterr().out


def test_unknown_sets_are_answered_with_the_known(capsys):
    assert prepare.main(["minst"]) == 2
    expected = "No data set is called 'minst'. Known: chorale_chords, chorales, cifar10"
    assert expected in capsys.readouterr().err
