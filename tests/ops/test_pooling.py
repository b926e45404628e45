"""Pooling by modulus and by frequency against loops and numpy's transforms."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo.ops import pooling, targets
from tests.helpers import arrays, as_complex, gradients, random_pair


def windows(shape, pool_size, strides, padding):
    """For each output place, the list of places that its window sees."""
    axes = []
    for size, window, stride in zip(shape, pool_size, strides, strict=True):
        count = (size - window) // stride + 1
        before = 0
        if padding == "same":
            count = -(-size // stride)
            before = max((count - 1) * stride + window - size, 0) // 2
        starts = [place * stride - before for place in range(count)]
        axes.append(
            [[at for at in range(a, a + window) if 0 <= at < size] for a in starts]
        )
    for place in itertools.product(*(range(len(axis)) for axis in axes)):
        rows = [axis[at] for axis, at in zip(axes, place, strict=True)]
        yield place, list(itertools.product(*rows))


def pool_by_loops(z, pool_size, strides, padding):
    """The first value of largest modulus, and how often each place is chosen."""
    space = z.shape[1:-1]
    seen = list(windows(space, pool_size, strides, padding))
    counts = [last + 1 for last in seen[-1][0]]
    found = np.zeros((len(z), *counts, z.shape[-1]), z.dtype)
    times = np.zeros(z.shape)
    for one, channel in itertools.product(range(len(z)), range(z.shape[-1])):
        for place, candidates in seen:
            lengths = [abs(z[(one, *at, channel)]) for at in candidates]
            chosen = candidates[int(np.argmax(lengths))]  # the first of equals
            found[(one, *place, channel)] = z[(one, *chosen, channel)]
            times[(one, *chosen, channel)] += 1
    return found, times


def whole_numbers(*shape, seed=0):
    """Few different moduli, with many ties."""
    generator = np.random.default_rng(seed)
    return tuple(generator.integers(-2, 3, shape).astype(np.float32) for _ in "ri")


@settings(max_examples=12)
@given(
    data=st.data(), rank=st.integers(1, 3), padding=st.sampled_from(["valid", "same"])
)
def test_modulus_pooling_is_the_loop_with_and_without_ties(data, rank, padding):
    window = data.draw(st.tuples(*[st.integers(1, 4)] * rank))
    strides = data.draw(st.tuples(*[st.integers(1, 4)] * rank))
    space = [size + data.draw(st.integers(0, 4)) for size in window]
    make = data.draw(st.sampled_from([random_pair, whole_numbers]))
    z = make(2, *space, 2, seed=rank)
    found = pooling.modulus_max_pool(z, window, strides, padding)
    expected, _ = pool_by_loops(as_complex(z), window, strides, padding)
    np.testing.assert_array_equal(as_complex(found), expected)


def test_windows_wider_than_the_input_never_choose_padding():
    z = tuple(-np.ones((1, 2, 2, 1), np.float32) for _ in "ri")
    found = as_complex(pooling.modulus_max_pool(z, (5, 5), (1, 1), "same"))
    np.testing.assert_array_equal(found, np.full((1, 2, 2, 1), -1 - 1j))


@pytest.mark.parametrize("make", [random_pair, whole_numbers])
@pytest.mark.parametrize(
    ("window", "strides", "padding"),
    [((2, 2), (2, 2), "valid"), ((3, 2), (1, 2), "same"), ((2, 2), (3, 3), "same")],
)
def test_the_gradient_goes_to_the_chosen_numbers_only(make, window, strides, padding):
    z = make(2, 5, 6, 2)

    def total(real, imag):
        real, imag = pooling.modulus_max_pool((real, imag), window, strides, padding)
        return kops.sum(real) + 2 * kops.sum(imag)

    _, times = pool_by_loops(as_complex(z), window, strides, padding)
    along, across = gradients(total, *z)
    np.testing.assert_array_equal(along, times)
    np.testing.assert_array_equal(across, 2 * times)


def test_other_axes_may_be_pooled():
    z = random_pair(2, 3, 5, 4)  # channels first
    found = pooling.modulus_max_pool(z, (2, 2), (2, 2), "valid", first_axis=2)
    last = tuple(np.moveaxis(part, 1, -1) for part in z)
    expected = pooling.modulus_max_pool(last, (2, 2), (2, 2), "valid")
    for one, other in zip(arrays(found), arrays(expected), strict=True):
        np.testing.assert_array_equal(one, np.moveaxis(other, -1, 1))


def test_half_precision_compares_in_single():
    # 300² leaves the range of float16.
    z = (np.float16([[[299], [300]]]), np.float16([[[0], [0]]]))
    real, _ = pooling.modulus_max_pool(z, (2,), (2,), "valid")
    assert np.asarray(real).item() == 300


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("make", [random_pair, whole_numbers])
@pytest.mark.parametrize("target", [None, "litert"])
def test_global_modulus_pooling_is_a_window_of_everything(make, keepdims, target):
    z = make(3, 4, 5, 2)
    with targets.traced_for(target):
        found = as_complex(pooling.global_modulus_max_pool(z, (1, 2), keepdims))
    expected, _ = pool_by_loops(as_complex(z), (4, 5), (1, 1), "valid")
    expected = expected if keepdims else expected[:, 0, 0]
    np.testing.assert_array_equal(found, expected)


def low_frequencies(z, sizes, axes):
    """numpy's shifted transform, cut out around its middle, and back."""
    spectrum = np.fft.fftshift(np.fft.fftn(z, axes=axes, norm="forward"), axes)
    for size, axis in zip(sizes, axes, strict=True):
        start = z.shape[axis] // 2 - size // 2
        spectrum = np.take(spectrum, range(start, start + size), axis)
    spectrum = np.fft.ifftshift(spectrum, axes)
    return np.fft.ifftn(spectrum, axes=axes, norm="forward")


@pytest.mark.parametrize(
    ("size", "kept"), [(1, 1), (2, 1), (6, 3), (6, 4), (7, 4), (7, 5), (8, 8)]
)
def test_spectral_pooling_of_signals_is_numpys(size, kept):
    z = random_pair(2, size, 3, seed=size)
    found = as_complex(pooling.spectral_pool(z, (kept,)))
    expected = low_frequencies(as_complex(z), (kept,), (1,))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("sizes", [(4, 3), (5, 6), (8, 7), (1, 2)])
@pytest.mark.parametrize("first_axis", [1, 2])
def test_spectral_pooling_of_images_is_numpys(sizes, first_axis):
    shape = (2, 8, 7, 3) if first_axis == 1 else (2, 3, 8, 7)
    z = random_pair(*shape)
    found = as_complex(pooling.spectral_pool(z, sizes, first_axis))
    axes = (first_axis, first_axis + 1)
    np.testing.assert_allclose(
        found, low_frequencies(as_complex(z), sizes, axes), atol=1e-5
    )


@pytest.mark.parametrize("kept", [3, 4])
def test_a_low_frequency_is_sampled_again(kept):
    places = np.arange(12)[None, :, None] / 12
    wave = np.exp(2j * np.pi * places) - 2j
    z = wave.real.astype(np.float32), wave.imag.astype(np.float32)
    found = as_complex(pooling.spectral_pool(z, (kept,)))
    again = np.exp(2j * np.pi * np.arange(kept)[None, :, None] / kept) - 2j
    np.testing.assert_allclose(found, again, atol=1e-6)


def test_a_real_signal_stays_real_where_an_odd_number_is_kept():
    real, _ = random_pair(2, 10, 1)
    _, imag = pooling.spectral_pool((real, 0 * real), (5,))
    np.testing.assert_allclose(np.asarray(imag), 0, atol=1e-6)
