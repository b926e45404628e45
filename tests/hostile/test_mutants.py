"""Hostile presets are refused, each by the check that is there for it."""

import keras
import pytest

import cvzoo
from tests.hostile import bases, checks, loading, mutants


@pytest.fixture(scope="module")
def results():
    return loading.run(mutants.mutants())


def test_each_is_refused_with_the_error_of_the_loader_and_no_file_is_touched(results):
    assert results.wrong == []


def test_there_are_thousands_and_most_have_hashes_that_are_right(results):
    assert len(results.mutants) >= 2000
    assert 2 * len(results.resealed) >= len(results.mutants)


def test_each_check_refuses_some(results):
    counted = {name for name, count in results.by_check.items() if count}
    assert counted == checks.names()


def test_all_that_reads_presets_has_refused_some(results):
    assert len(results.read_by) == 5
    assert min(results.read_by.values()) > 100


def test_few_flipped_bits_are_as_good_as_before(results):
    assert len(results.as_good) < len(results.mutants) / 50


def test_the_presets_that_were_changed_are_loaded(tmp_path):
    for name, files in bases.presets().items():
        folder = tmp_path / name
        folder.mkdir()
        for file, data in files.items():
            (folder / file).write_bytes(data)
        assert isinstance(cvzoo.from_preset(folder, verify=True), keras.Model)


def test_a_second_name_of_a_file_does_no_harm(tmp_path):
    """A hard link: its bytes are compared with the manifest as those of any file."""
    folder = tmp_path / "preset"
    folder.mkdir()
    for file, data in bases.presets()["sparse"].items():
        (tmp_path / file).write_bytes(data)
        (folder / file).hardlink_to(tmp_path / file)
    assert isinstance(cvzoo.from_preset(folder, verify=True), keras.Model)


@pytest.mark.slow
def test_many_more_mutants():
    """`pytest -m slow -s tests/hostile` prints which check has refused how many."""
    results = loading.run(mutants.mutants(times=8))
    print(f"\n{results}")
    assert results.wrong == []
