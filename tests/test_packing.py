"""Packing: round trips, sizes near the bound, and damaged files."""

import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from cvzoo import packing
from cvzoo.packing import PackingError, Spec, pack, unpack


def sparse(size, density, parts=1, seed=0):
    generator = np.random.default_rng(seed)
    places = generator.random(size) < density
    values = [
        (generator.normal(size=size) * places).astype(np.float32) for _ in range(parts)
    ]
    return tuple(values) if parts == 2 else values[0]


@given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    density=st.floats(0, 1),
    parts=st.sampled_from([1, 2]),
    seed=st.integers(0, 999),
)
def test_tensors_come_back_bit_for_bit(shape, density, parts, seed):
    value = sparse(shape, density, parts, seed)
    (found,) = unpack(pack({"w": value}), {"w": Spec(tuple(shape), parts)}).values()
    np.testing.assert_array_equal(found, value)
    assert isinstance(found, tuple) == (parts == 2)


@given(gaps=st.lists(st.integers(0, 2**40), max_size=30))
def test_gaps_of_any_size_come_back(gaps):
    places = np.cumsum(np.array(gaps, np.int64) + 1) - 1
    found = packing._decode_gaps(packing._encode_gaps(places))
    np.testing.assert_array_equal(found, places)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("density", [1.0, 0.5, 0.2, 0.05, 0.02, 0.005])
def test_files_are_near_their_bound(parts, density):
    # 4 bytes a real value, and log2(e·N / nnz) bits for the place of each weight.
    size = 200_000
    value = sparse(size, density, parts)
    count = np.count_nonzero(value[0] if parts == 2 else value)
    bound = 4 * parts * count + count * np.log2(np.e * size / count) / 8
    assert len(pack({"w": value})) <= 1.3 * bound + 1024


def test_equal_tensors_give_equal_bytes():
    tensors = {name: sparse(500, 0.1, 2, seed) for seed, name in enumerate("abcde")}
    backwards = dict(reversed(tensors.items()))
    assert pack(tensors) == pack(backwards)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    with pytest.raises(PackingError, match="'w' has values that are NaN or infinite"):
        pack({"w": np.float32([0, value])})


def test_names_that_do_not_match_are_listed_on_both_sides():
    data = pack({"a": np.ones(3), "b": np.ones(3)})
    with pytest.raises(PackingError, match=r"Missing: \['c'\]. Unknown: \['b'\]"):
        unpack(data, {"a": Spec((3,), 1), "c": Spec((3,), 1)})


def test_a_shape_that_does_not_match_is_refused():
    with pytest.raises(PackingError, match=r"'a'.*expected shape \(4,\), found \(3,\)"):
        unpack(pack({"a": np.ones(3)}), {"a": Spec((4,), 1)})
    with pytest.raises(PackingError, match=r"'a'.*expected values of shape \(2, 3\)"):
        unpack(pack({"a": np.ones(3)}), {"a": Spec((3,), 2)})


@given(data=st.binary(max_size=200))
def test_any_other_bytes_are_refused(data):
    with pytest.raises(PackingError):
        unpack(data, {"w": Spec((3,), 1)})


@pytest.mark.parametrize("position", range(0, 400, 7))
def test_a_changed_byte_never_gives_another_kind_of_error(position):
    tensors = {"w": sparse(2000, 0.02, 2)}
    data = bytearray(pack(tensors))
    data[position] ^= 0x55
    try:
        (found,) = unpack(bytes(data), {"w": Spec((2000,), 2)}).values()
    except PackingError:
        return
    assert found[0].shape == (2000,)


def forged(arrays, codec, shape=(10,)):
    layout = {"w": {"codec": codec, "shape": list(shape)}}
    metadata = {"cvzoo": json.dumps({"format": 1, "tensors": layout})}
    return safetensors.numpy.save(arrays, metadata)


ONE = np.ones((1, 1), np.float32)


@pytest.mark.parametrize(
    ("arrays", "codec", "message"),
    [
        ({"w": ONE, "w#places": np.uint8([10])}, "gaps", "beyond the 10"),
        ({"w": ONE, "w#places": np.uint8([200])}, "gaps", "middle of a number"),
        ({"w": ONE, "w#places": np.uint8([0x80] * 9 + [1])}, "gaps", "56 bits"),
        ({"w": ONE, "w#places": np.uint8([1, 1])}, "gaps", "values of shape"),
        ({"w": ONE, "w#places": np.uint8([1])}, "bitmask", "values of shape"),
        ({"w": ONE, "w#places": np.uint8([0, 1])}, "bitmask", "beyond the 10"),
        ({"w": ONE, "w#places": np.float32([0])}, "gaps", "places as bytes"),
        ({"w": ONE.astype(np.float64)}, "dense", "finite float32"),
        ({"w": np.full((1, 10), np.nan, np.float32)}, "dense", "finite float32"),
        ({"w": ONE, "w#places": np.uint8([1])}, "zip", "expected a codec"),
        ({"w": ONE}, "gaps", "Missing"),
        ({"w": ONE, "x": ONE}, "dense", "Unknown"),
    ],
)
def test_forged_files_are_refused(arrays, codec, message):
    with pytest.raises(PackingError, match=message):
        unpack(forged(arrays, codec), {"w": Spec((10,), 1)})


def test_another_format_is_refused():
    metadata = {"cvzoo": json.dumps({"format": 2, "tensors": {}})}
    data = safetensors.numpy.save({"w": ONE}, metadata)
    with pytest.raises(PackingError, match="format 2; this version reads 1"):
        unpack(data, {"w": Spec((1,), 1)})
