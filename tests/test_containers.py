"""Entries of safetensors files, beside the library that defines them."""

import json

import numpy as np
import pytest
import safetensors.numpy
from safetensors import SafetensorError

from cvzoo.containers import ContainerError, Entries
from cvzoo.file_bytes import FileBytes

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.arange(5, dtype=np.uint8),
    "c": np.array(3.0),
    "d": np.zeros((0, 4), np.int16),
}


def test_entries_are_those_that_the_library_reads(tmp_path):
    data = safetensors.numpy.save(ARRAYS, {"about": "numbers"})
    (tmp_path / "file").write_bytes(data)
    expected = safetensors.numpy.load(data)
    with open(tmp_path / "file", "rb") as file:
        for source in (data, FileBytes(file)):
            entries = Entries(source)
            assert set(entries) == set(expected) and len(entries) == 4
            for name, array in expected.items():
                assert entries[name].dtype == array.dtype
                np.testing.assert_array_equal(entries[name], array)


def with_header(change):
    """The file, its header changed."""
    data = safetensors.numpy.save(ARRAYS)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    changed = json.dumps(change(header) or header).encode()
    return len(changed).to_bytes(8, "little") + changed + data[8 + length :]


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["a"].update(data_offsets=[0, 25]),
        lambda header: header["a"].update(shape=[2, 4]),
        lambda header: header["a"].update(shape=[-2, -3]),
        lambda header: header["a"].update(shape=6),
        lambda header: header["a"].update(dtype="F17"),
        lambda header: header["a"].update(dtype=["F32"]),
        lambda header: header["a"].pop("dtype"),
        lambda header: header.pop("a"),
        lambda header: header.update(a=3),
        lambda header: header.update(e=dict(header["a"])),
        lambda header: [header],
        lambda header: "text",
    ],
)
def test_what_the_library_refuses_is_refused(change):
    data = with_header(change)
    with pytest.raises(SafetensorError):
        safetensors.numpy.load(data)
    with pytest.raises(ContainerError):
        Entries(data)


def test_shapes_of_many_axes_are_refused_at_once():
    for shape in ([2, 3, *[1] * 15], [2**62 - 1] * 10**5):
        data = with_header(lambda header, shape=shape: header["a"].update(shape=shape))
        with pytest.raises(ContainerError, match="not an entry"):
            Entries(data)
    data = with_header(lambda header: header["a"].update(shape=[2, 3, *[1] * 14]))
    assert Entries(data)["a"].shape == (2, 3, *[1] * 14)


@pytest.mark.parametrize("cut", [slice(0, -1), slice(0, 30), slice(0, 4), slice(0)])
def test_a_file_that_was_cut_off_is_refused(cut):
    with pytest.raises(ContainerError):
        Entries(safetensors.numpy.save(ARRAYS)[cut])
    with pytest.raises(ContainerError):
        Entries(safetensors.numpy.save(ARRAYS) + b"more")


def test_slices_of_a_file_are_those_of_its_bytes(tmp_path):
    path, data = tmp_path / "file", bytes(range(256))
    path.write_bytes(data)
    with open(path, "rb") as file:
        found = FileBytes(file)
        assert len(found) == 256
        for part in (slice(3, 9), slice(250, 300), slice(9, 3), slice(None)):
            assert found[part] == data[part]
        path.rename(tmp_path / "other")
        assert found[:5] == data[:5]


def test_a_file_that_became_shorter_is_an_error(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    with open(path, "rb") as file:
        found = FileBytes(file)
        path.write_bytes(bytes(50))
        with pytest.raises(OSError, match="became shorter while it was read"):
            found[:]
