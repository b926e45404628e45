"""Packing: round trips, sizes near the bound, and damaged files."""

import json
import lzma
import time
import tracemalloc
import zlib

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from cvzoo import coding, packing
from cvzoo.packing import PackingError, Spec, pack, unpack
from tests.benchmarks import packing as sizes


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


@given(
    gaps=st.lists(st.one_of(st.integers(0, 9), st.integers(0, 20_000)), max_size=30),
    rest=st.integers(0, 300),
    kind=st.sampled_from(["whole", "half", "float", "pair"]),
)
def test_places_of_any_kind_come_back(gaps, rest, kind):
    places = np.cumsum(np.array(gaps, np.int64) + 1) - 1
    dense = np.zeros(len(gaps) + sum(gaps) + rest, np.float32)
    dense[places] = {"whole": 3, "half": 1 / 3, "float": 1 / 3, "pair": 5}[kind]
    if kind == "half":
        dense = np.float32(np.float16(dense))
    value = (dense, dense[::-1].copy()) if kind == "pair" else dense
    (found,) = unpack(pack({"w": value}), {"w": spec_of(value)}).values()
    np.testing.assert_array_equal(found, value)


@given(
    values=st.lists(
        st.one_of(
            st.floats(width=16, allow_nan=False, allow_infinity=False),
            st.floats(width=32, allow_nan=False, allow_infinity=False),
            st.integers(-40_000, 40_000).map(float),
        ),
        max_size=40,
    ),
    exponent=st.integers(-120, 80),
)
def test_values_of_any_kind_come_back(values, exponent):
    value = np.float32(values)
    scaled = np.ldexp(np.rint(np.clip(value, -3e4, 3e4)), exponent)
    tensors = {"a": value, "b": scaled}
    found = unpack(pack(tensors), {name: spec_of(v) for name, v in tensors.items()})
    for name in tensors:
        np.testing.assert_array_equal(found[name], tensors[name])


def test_numbers_at_the_edge_of_float32_come_back():
    smallest, largest = np.float32(2**-149), np.finfo(np.float32).max
    for value in ([smallest], [largest], [smallest, -largest], [0, -65504, 2**-24]):
        value = np.float32(value)
        (found,) = unpack(pack({"w": value}), {"w": spec_of(value)}).values()
        np.testing.assert_array_equal(found, value)


def spec_of(value):
    if isinstance(value, tuple):
        return Spec(value[0].shape, 2)
    return Spec(value.shape, 1)


SHARES_OF_ZEROS = [80, 90, 95, 98, 98.5, 99, 99.5, 99.9]


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("values", sorted(sizes.ROUND))
@pytest.mark.parametrize("percent", SHARES_OF_ZEROS)
def test_files_are_near_their_bound(percent, values, parts):
    value = sizes.random_kernel(percent, values, parts)
    assert len(pack({"w": value})) <= 1.15 * sizes.bound(value, values) + 1024


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(
    ("values", "times"), [("float32", 45), ("float16", 75), ("posterior", 150)]
)
def test_files_of_few_weights_are_many_times_smaller_than_dense_ones(
    values, times, parts
):
    value = sizes.random_kernel(98.5, values, parts)
    assert sizes.dense_bytes(value) / len(pack({"w": value})) >= times


def test_many_small_tensors_need_little_more_than_their_values():
    tensors = {f"layer_{i}/gamma": sparse(64, 1, seed=i) for i in range(50)}
    assert len(pack(tensors)) <= 50 * (4 * 64 + 80) + 200


def test_measured_sizes_are_those_of_the_file():
    tensors = {name: sparse((60, 50), 0.1, 2, seed) for seed, name in enumerate("abc")}
    whole, by_name = packing.measure(tensors)
    assert whole == len(pack(tensors))
    assert 0 < whole - sum(by_name.values()) < 250


def test_a_large_dense_tensor_is_packed_fast_and_in_little_memory():
    value = np.random.default_rng(0).normal(size=4_000_000).astype(np.float32)
    tracemalloc.start()
    start = time.process_time()
    data = pack({"w": value})
    assert time.process_time() - start < 2
    assert tracemalloc.get_traced_memory()[1] < 2 * value.nbytes
    tracemalloc.stop()
    (found,) = unpack(data, {"w": spec_of(value)}).values()
    np.testing.assert_array_equal(found, value)


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
    with pytest.raises(PackingError, match=r"'a'.*a stream has 3 bytes, 6 expected"):
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
    """A file of format 1."""
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
        ({"w": ONE.astype(np.float64)}, "dense", "float32 values, found float64"),
        ({"w": np.full((1, 10), np.nan, np.float32)}, "dense", "found NaN"),
        ({"w": ONE, "w#places": np.uint8([1])}, "zip", "expected a codec"),
        ({"w": ONE}, "gaps", "Missing"),
        ({"w": ONE, "x": ONE}, "dense", "Unknown"),
    ],
)
def test_forged_files_of_format_1_are_refused(arrays, codec, message):
    with pytest.raises(PackingError, match=message):
        unpack(forged(arrays, codec), {"w": Spec((10,), 1)})


def test_a_small_file_cannot_claim_gigabytes():
    entry = [[2**30], "float16", 0, "gaps", 0, coding.RAW, 0, coding.RAW, 0]
    metadata = {"cvzoo": json.dumps({"format": 2, "tensors": {"w": entry}})}
    data = safetensors.numpy.save({"streams": np.zeros(0, np.uint8)}, metadata)
    with pytest.raises(PackingError, match=r"1073741824 numbers in \d+ bytes"):
        unpack(data, {"w": Spec((2**30,), 1)})
    with pytest.raises(PackingError, match="Save the result of `cvzoo.shrink`"):
        pack({"w": np.zeros(2**26 + 1, np.float32)})


def test_more_numbers_need_more_bytes_for_each():
    def check(numbers, size):
        packing._check_size(numbers, size)

    check(2**26, 0)
    check(2**29, 2**15)
    check(2**30, 2**23)
    check(2**31, 2**24)
    for numbers, size in [(2**26 + 1, 2**11), (2**29 + 1, 2**17), (2**31, 2**17)]:
        with pytest.raises(PackingError, match=f"{numbers} numbers in {size} bytes"):
            check(numbers, size)
    with pytest.raises(PackingError, match="are more than 2147483648 numbers"):
        check(2**31 + 1, 2**30)


def test_a_dtype_that_numpy_lacks_is_refused():
    data = forged({"w": np.zeros((1, 10), np.float16)}, "dense")
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].replace(b'"F16"', b'"BF16"')
    data = len(header).to_bytes(8, "little") + header + data[8 + length :]
    with pytest.raises(PackingError, match="Not a packed.*get or save it again.*BF16"):
        unpack(data, {"w": Spec((10,), 1)})


@pytest.mark.parametrize(
    ("arrays", "codec"),
    [
        ({"w": np.float32([[0, 0, 2, 0, 3]])}, "dense"),
        ({"w": np.float32([[2, 3]]), "w#places": np.uint8([2, 1])}, "gaps"),
        ({"w": np.float32([[2, 3]]), "w#places": np.uint8([0b00101000])}, "bitmask"),
    ],
)
def test_files_of_format_1_are_read(arrays, codec):
    found = unpack(forged(arrays, codec, (5,)), {"w": Spec((5,), 1)})
    np.testing.assert_array_equal(found["w"], [0, 0, 2, 0, 3])


def forged_2(settings, *streams, lengths=None):
    """A file of format 2 with one tensor of ten values; streams are coder and bytes."""
    data = b"".join(stream for _, stream in streams)
    lengths = lengths or [len(stream) for _, stream in streams]
    numbers = [
        n
        for (coder, _), size in zip(streams, lengths, strict=True)
        for n in (coder, size)
    ]
    entries = {"w": [[10], *settings, *numbers]}
    metadata = {"cvzoo": json.dumps({"format": 2, "tensors": entries})}
    arrays = {"streams": np.frombuffer(data, np.uint8)}
    return safetensors.numpy.save(arrays, metadata)


def deflated(data):
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return coder.compress(data) + coder.flush()


def as_lzma(data):
    return lzma.compress(data, lzma.FORMAT_RAW, filters=coding._FILTERS)


TEN = bytes(range(10))
BOMB = bytes(10**6)
ALL = ["integers", 0, "all", 0]
GAPS = ["integers", 0, "gaps", 0]


@pytest.mark.parametrize(
    ("settings", "streams", "message"),
    [
        (ALL, [(0, TEN[:9])], "has 9 bytes, 10 expected"),
        (ALL, [(0, TEN + b"1")], "more than the 10 bytes"),
        (ALL, [(1, deflated(BOMB))], "more than the 10 bytes"),
        (ALL, [(2, as_lzma(BOMB))], "more than the 10 bytes"),
        (ALL, [(1, deflated(TEN)[:-1])], "cut off"),
        (ALL, [(2, as_lzma(TEN)[:-1])], "cut off"),
        (ALL, [(1, deflated(TEN) + b"1")], "behind its end"),
        (ALL, [(2, as_lzma(TEN) + b"1")], "behind its end"),
        (ALL, [(1, b"\xff" * 9)], "damaged"),
        (ALL, [(2, b"\xff" * 9)], "damaged"),
        (ALL, [(3, TEN)], "expected a coder"),
        (ALL, [(0, TEN), (0, TEN)], "2 streams of integers values"),
        (ALL, [], "0 streams"),
        (["zip", 0, "all", 0], [(0, TEN)], "expected values of a kind"),
        (["integers", 0, "some", 0], [(0, TEN)], "places of one of"),
        (["integers", 200, "all", 0], [(0, TEN)], "out of range"),
        (["integers", 127, "all", 0], [(0, TEN)], "finite"),
        (["integers", 0, "gaps", 25], [(0, TEN)], "out of range"),
        (["integers", 0.5, "all", 0], [(0, TEN)], "damaged entry"),
        (["integers", True, "all", 0], [(0, TEN)], "damaged entry"),
        ([["integers"], 0, "all", 0], [(0, TEN)], "damaged entry"),
        (["integers"], [], "damaged entry"),
        (["float32", 0, "all", 0], [(0, b"\xff" * 40)], "finite"),
        (["float32", 0, "all", 0], [(0, TEN)] * 3, "3 streams of float32"),
        (GAPS, [(0, b"\x0a"), (0, b"1")], "beyond the 10"),
        (GAPS, [(0, b"\xff"), (0, b"")], "middle of a number"),
        (GAPS, [(0, b"\x04" * 2), (0, b"1")], "has 1 bytes, 2 expected"),
        (GAPS, [(0, b"\x04" * 3), (0, b"111")], "beyond the 10"),
        (GAPS, [(1, deflated(BOMB)), (0, b"")], "more than the 10 bytes"),
        (GAPS, [], "are missing"),
        (["integers", 0, "gaps", 24], [(0, b"\x01"), (0, b"1")], "beyond the 10"),
        (["integers", 0, "gaps", 2], [(0, b"\x00"), (0, b"1")], "has 1 bytes, 2"),
        (["integers", 0, "gaps", 2], [(0, b"\x00")], "are missing"),
        (["integers", 0, "bitmask", 0], [(0, b"\x00\x01"), (0, b"1")], "beyond"),
        (["integers", 0, "bitmask", 0], [(0, b"\x00"), (0, b"")], "1 bytes, 2"),
    ],
)
def test_forged_files_are_refused(settings, streams, message):
    with pytest.raises(PackingError, match=message):
        unpack(forged_2(settings, *streams), {"w": Spec((10,), 1)})


@pytest.mark.parametrize("length", [9, 11, -10, 2**60, 10.0, None, "10"])
def test_stated_lengths_must_fit_the_streams(length):
    data = forged_2(ALL, (0, TEN), lengths=[length])
    with pytest.raises(PackingError, match="states|damaged entry"):
        unpack(data, {"w": Spec((10,), 1)})


@given(
    data=st.binary(max_size=60),
    coder=st.sampled_from([1, 2]),
    places=st.sampled_from(["all", "bitmask", "gaps"]),
    cut=st.integers(0, 60),
)
def test_any_other_streams_are_refused_or_give_ten_values(data, coder, places, cut):
    settings = ["integers", 0, places, 0]
    streams = [(coder, data[:cut]), (coder, data[cut:])]
    try:
        found = unpack(forged_2(settings, *streams), {"w": Spec((10,), 1)})["w"]
    except PackingError:
        return
    assert found.shape == (10,) and np.isfinite(found).all()


def test_another_format_is_refused():
    metadata = {"cvzoo": json.dumps({"format": 3, "tensors": {}})}
    data = safetensors.numpy.save({"w": ONE}, metadata)
    with pytest.raises(PackingError, match="format 3; this version reads 1 and 2"):
        unpack(data, {"w": Spec((1,), 1)})
