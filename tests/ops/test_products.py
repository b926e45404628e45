"""Products of pairs against numpy's complex numbers and explicit sums."""

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as kops

from cvzoo import ops
from cvzoo.ops import products
from tests.helpers import arrays, as_complex, gradients, random_pair

sizes = st.integers(1, 7)


def numpy_convolution(z, kernel, strides, padding, dilation):
    """Complex convolution of any rank by a sum over the window, channels last."""
    rank = len(strides)
    window = kernel.shape[:rank]
    reach = [rate * (size - 1) for rate, size in zip(dilation, window, strict=True)]
    space = z.shape[1:-1]
    if padding == "same":
        total = [
            max((-(-size // step) - 1) * step + far + 1 - size, 0)
            for size, step, far in zip(space, strides, reach, strict=True)
        ]
        edges = [(one // 2, one - one // 2) for one in total]
        z = np.pad(z, [(0, 0), *edges, (0, 0)])
    counts = [
        (size - far - 1) // step + 1
        for size, far, step in zip(z.shape[1:-1], reach, strides, strict=True)
    ]
    groups = z.shape[-1] // kernel.shape[-2]
    found = np.zeros((len(z), *counts, kernel.shape[-1]), complex)
    for place in itertools.product(*map(range, window)):
        rows = tuple(
            slice(at * rate, at * rate + step * (count - 1) + 1, step)
            for at, rate, step, count in zip(
                place, dilation, strides, counts, strict=True
            )
        )
        seen = np.split(z[(slice(None), *rows)], groups, axis=-1)
        taps = np.split(kernel[place], groups, axis=-1)
        found += np.concatenate(
            [one @ tap for one, tap in zip(seen, taps, strict=True)], axis=-1
        )
    return found


@given(batch=sizes, inputs=sizes, units=sizes, seed=st.integers(0, 99))
def test_complex_dense_is_numpys_matrix_product(batch, inputs, units, seed):
    z = random_pair(batch, inputs, seed=seed)
    kernel = random_pair(inputs, units, seed=seed + 100)
    bias = random_pair(units, seed=seed + 200)
    found = as_complex(ops.complex_dense(z, kernel, bias))
    expected = as_complex(z) @ as_complex(kernel) + as_complex(bias)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("conjugate", [None, "left", "right"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_product_conjugates_the_factor_that_it_is_told_to(conjugate, dtype):
    left, right = random_pair(4, 3), random_pair(3, 5, seed=1)
    a, b = as_complex(left), as_complex(right)
    a = a.conj() if conjugate == "left" else a
    b = b.conj() if conjugate == "right" else b
    cast = [tuple(kops.cast(part, dtype) for part in pair) for pair in (left, right)]
    found = ops.complex_product(kops.matmul, *cast, conjugate=conjugate)
    found = as_complex(tuple(arrays([kops.cast(part, "float32") for part in found])))
    tolerance = {"float32": 1e-5, "float16": 2e-2, "bfloat16": 1e-1}[dtype]
    np.testing.assert_allclose(found, a @ b, atol=tolerance)


def test_half_precision_loses_nothing_to_the_three_product_form():
    # |a| ≈ |b| and u ≈ v make the three products' sums cancel.
    z = tuple(np.full((1, 64), 100.0, np.float32) for _ in range(2))
    kernel = tuple(np.full((64, 1), value, np.float32) for value in (1.0, 0.9990234375))
    exact = as_complex(z) @ as_complex(kernel)
    cast = [tuple(kops.cast(part, "float16") for part in pair) for pair in (z, kernel)]
    found = ops.complex_product(kops.matmul, *cast)
    real = np.asarray(kops.cast(found[0], "float32"))
    # The real part, 6.25, is what is left of products of 6400: one unit in their last
    # place is 4. Three products would add sums of 12800, whose unit is 8.
    np.testing.assert_allclose(real, exact.real, atol=4)


@pytest.mark.parametrize("conjugate", [True, False])
def test_the_bilinear_form_is_numpys_sum(conjugate):
    x, z = random_pair(2, 4, 3), random_pair(2, 4, 5, seed=1)
    kernel = random_pair(3, 5, 2, seed=2)
    left = as_complex(x).conj() if conjugate else as_complex(x)
    expected = np.einsum("abi,ijk,abj->abk", left, as_complex(kernel), as_complex(z))
    found = ops.complex_bilinear(x, z, kernel, conjugate)
    np.testing.assert_allclose(as_complex(found), expected, atol=1e-4)


CONVOLUTIONS = st.fixed_dictionaries(
    {
        "rank": st.integers(1, 3),
        "window": st.integers(1, 4),
        "step": st.integers(1, 2),
        "rate": st.integers(1, 2),
        "padding": st.sampled_from(["valid", "same"]),
        "extra": st.integers(0, 4),
        "seed": st.integers(0, 99),
    }
)


@settings(max_examples=25)
@given(CONVOLUTIONS)
def test_a_convolution_is_numpys_sum_over_the_window(drawn):
    rank, window, rate = drawn["rank"], drawn["window"], drawn["rate"]
    step = 1 if rate > 1 else drawn["step"]
    size = rate * (window - 1) + 1 + drawn["extra"]
    z = random_pair(2, *(size + i for i in range(rank)), 3, seed=drawn["seed"])
    kernel = random_pair(*[window] * rank, 3, 2, seed=drawn["seed"] + 100)
    strides, dilation = (step,) * rank, (rate,) * rank
    found = ops.complex_conv(
        tuple(map(kops.convert_to_tensor, z)),
        tuple(map(kops.convert_to_tensor, kernel)),
        strides=strides,
        padding=drawn["padding"],
        data_format="channels_last",
        dilation_rate=dilation,
    )
    expected = numpy_convolution(
        as_complex(z), as_complex(kernel), strides, drawn["padding"], dilation
    )
    np.testing.assert_allclose(as_complex(found), expected, atol=1e-4)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("space", "window", "step", "rate"),
    [
        ((9,), (3,), 1, 1),
        ((8,), (4,), 1, 1),
        ((7,), (3,), 2, 1),
        ((9,), (3,), 1, 2),
        ((5, 6), (3, 3), 1, 1),
        ((5, 6), (2, 3), 1, 1),
        ((3, 4, 3), (3, 2, 1), 1, 1),
    ],
)
def test_gradients_of_a_convolution_are_adjoint_to_it(
    space, window, step, rate, padding, both_kinds_of_gradients
):
    """For the real inner product `<y, f(z, W)>`, linear in each of z and W.

    The gradient to z, dotted with any z', is `<y, f(z', W)>`; likewise for W.
    """
    rank = len(space)
    arguments = {
        "strides": (step,) * rank,
        "padding": padding,
        "data_format": "channels_last",
        "dilation_rate": (rate,) * rank,
    }
    z, kernel = random_pair(2, *space, 3), random_pair(*window, 3, 4, seed=1)
    other_z, other_kernel = (
        random_pair(2, *space, 3, seed=2),
        random_pair(*window, 3, 4, seed=3),
    )

    def numpy_form(z, kernel):
        rest = arguments["strides"], padding, arguments["dilation_rate"]
        return numpy_convolution(as_complex(z), as_complex(kernel), *rest)

    upstream = random_pair(*numpy_form(z, kernel).shape, seed=4)

    def inner(real, imag, kernel_real, kernel_imag):
        found = ops.complex_conv((real, imag), (kernel_real, kernel_imag), **arguments)
        return sum(
            kops.sum(part * up) for part, up in zip(found, upstream, strict=True)
        )

    found = gradients(inner, *z, *kernel)
    for place, other, form in (
        (0, other_z, numpy_form(other_z, kernel)),
        (2, other_kernel, numpy_form(z, other_kernel)),
    ):
        along = sum(
            np.sum(gradient * direction)
            for gradient, direction in zip(found[place:], other, strict=False)
        )
        expected = np.sum((as_complex(upstream).conj() * form).real)
        np.testing.assert_allclose(along, expected, rtol=1e-4, atol=1e-3)


@pytest.fixture(params=[False, True], ids=["as convolutions", "TensorFlow's"])
def both_kinds_of_gradients(request, monkeypatch):
    """Which ones are taken depends on the machine."""
    monkeypatch.setattr(products, "_has_fast_gradients", lambda: request.param)


ARGUMENTS = {
    "strides": (1,),
    "padding": "same",
    "data_format": "channels_last",
    "dilation_rate": (1,),
}


def _squared(real, imag, kernel_real, kernel_imag):
    found = ops.complex_conv((real, imag), (kernel_real, kernel_imag), **ARGUMENTS)
    return sum(kops.sum(part**2) for part in found)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("space", [(7,), (5, 6)])
def test_gradients_of_a_real_convolution_are_adjoint_to_it(
    space, padding, both_kinds_of_gradients
):
    rank, generator = len(space), np.random.default_rng(0)
    arguments = {
        "strides": (1,) * rank,
        "padding": padding,
        "data_format": "channels_last",
        "dilation_rate": (1,) * rank,
    }

    def draw(*shape):
        return generator.normal(size=shape).astype(np.float32)

    def numpy_form(x, kernel):
        ones = (1,) * rank
        return numpy_convolution(x, kernel, ones, padding, ones).real

    window = (3, 2)[:rank]
    x, other_x = draw(2, *space, 3), draw(2, *space, 3)
    kernel, other_kernel = draw(*window, 3, 4), draw(*window, 3, 4)
    upstream = draw(*numpy_form(x, kernel).shape)
    found = gradients(
        lambda x, kernel: kops.sum(ops.conv(x, kernel, **arguments) * upstream),
        x,
        kernel,
    )
    for gradient, direction, form in (
        (found[0], other_x, numpy_form(other_x, kernel)),
        (found[1], other_kernel, numpy_form(x, other_kernel)),
    ):
        along, expected = np.sum(gradient * direction), np.sum(upstream * form)
        np.testing.assert_allclose(along, expected, rtol=1e-4, atol=1e-3)


def test_gradients_do_not_depend_on_the_setting_of_keras(both_kinds_of_gradients):
    arguments = *random_pair(2, 5, 3), *random_pair(3, 3, 3, seed=1)
    expected = gradients(_squared, *arguments)
    keras.config.set_image_data_format("channels_first")
    try:
        found = gradients(_squared, *arguments)
    finally:
        keras.config.set_image_data_format("channels_last")
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(left, right)


def test_an_empty_batch_has_a_gradient_of_zero(both_kinds_of_gradients):
    found = gradients(_squared, *random_pair(0, 5, 3), *random_pair(3, 3, 2))
    assert found[0].shape == (0, 5, 3)
    np.testing.assert_array_equal(found[2], np.zeros((3, 3, 2)))


def test_an_unknown_batch_keeps_its_gradient():
    inputs = keras.Input((6, 2)), keras.Input((6, 2))
    arguments = {
        "strides": (1,),
        "padding": "same",
        "data_format": "channels_last",
        "dilation_rate": (1,),
    }
    kernel = tuple(map(kops.convert_to_tensor, random_pair(3, 2, 2)))

    class Convolve(keras.layers.Layer):
        def call(self, pair):
            return ops.complex_conv(pair, kernel, **arguments)

        def compute_output_shape(self, shapes):
            return shapes

    model = keras.Model(inputs, Convolve()(inputs))
    z = random_pair(5, 6, 2)
    expected = numpy_convolution(as_complex(z), as_complex(kernel), (1,), "same", (1,))
    np.testing.assert_allclose(
        as_complex(model.predict(z, verbose=0)), expected, atol=1e-4
    )
