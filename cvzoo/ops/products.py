"""Products of pairs by a real bilinear map: dense, convolution, and what is like them.

A complex product is made of real ones. Which ones was measured (2 CPU cores, AMD EPYC,
TensorFlow 2.21, float32; `make bench` prints the table anew):

- Convolutions: three products in place of four take 19–26 % less time, 64 channels on
  32×32 to 512 on 4×4. With TensorFlow on a CPU without oneDNN their gradients are
  convolutions too (see `complex_conv`).
- Dense layers: three products are at most 10 % faster; four are taken, which round
  less, two at a time.
- Half precision: four products, as the sums of three lose a bit that it does not have.
"""

import functools

import keras
from keras import ops

from cvzoo.ops import targets


def complex_product(multiply, left, right, conjugate=None):
    """`left · right` for a real bilinear map, with three real products (Gauss).

    Args:
        multiply: Function of two real tensors, linear in each.
        left: Pair.
        right: Pair.
        conjugate: `None`, or which factor is conjugated: `"left"` or `"right"`.

    Returns:
        Pair.

    Reference:
        cplxmodule, `cplx.linear_3m`: `K₁ = (a + b)u`, `K₂ = a(v − u)`,
        `K₃ = b(u + v)`; real part `K₁ − K₃`, imaginary part `K₁ + K₂`.
    """
    (a, b), (u, v) = left, right
    if _is_half(a):
        return _four_products(multiply, left, right, conjugate)
    if conjugate == "left":
        first = multiply(a - b, u)
        return first + multiply(b, u + v), first + multiply(a, v - u)
    first = multiply(a + b, u)
    if conjugate == "right":
        return first - multiply(b, u - v), first - multiply(a, u + v)
    return first - multiply(b, u + v), first + multiply(a, v - u)


def _four_products(multiply, left, right, conjugate=None):
    (a, b), (u, v) = left, right
    if conjugate == "left":
        b = -b
    elif conjugate == "right":
        v = -v
    return multiply(a, u) - multiply(b, v), multiply(a, v) + multiply(b, u)


def _is_half(tensor):
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return dtype in ("float16", "bfloat16")


def complex_dense(pair, kernel, bias=None):
    """`z W + b` on pairs.

    Args:
        pair: Pair, each part `(..., inputs)`.
        kernel: Pair, each part `(inputs, units)`.
        bias: Optional pair, each part `(units,)`.

    Returns:
        Pair, each part `(..., units)`.

    Reference:
        Paper 2, eq. 6.
    """
    # Both parts by each part of the kernel at once: it is read, and its gradient is
    # written, half as often.
    both = ops.stack(pair)
    (au, bu), (av, bv) = (
        ops.unstack(ops.tensordot(both, part, 1), 2) for part in kernel
    )
    outputs = au - bv, av + bu
    if bias is None:
        return outputs
    return tuple(part + shift for part, shift in zip(outputs, bias, strict=True))


def complex_multiply(left, right, conjugate=None):
    """Elementwise product of two pairs, one of them conjugated if asked."""
    return _four_products(ops.multiply, left, right, conjugate)


def complex_bilinear(left, right, kernel, conjugate=True):
    """`yₖ = Σᵢⱼ x̄ᵢ Wᵢⱼₖ zⱼ` on pairs; without the bar when `conjugate` is false.

    Args:
        left: Pair x, each part `(..., n)`.
        right: Pair z, each part `(..., m)`.
        kernel: Pair, each part `(n, m, units)`.
        conjugate: Whether `left` is conjugated.

    Returns:
        Pair, each part `(..., units)`.

    Reference:
        cplxmodule, `CplxBilinear`.
    """
    left = tuple(part[..., :, None] for part in left)
    right = tuple(part[..., None, :] for part in right)
    outer = complex_multiply(left, right, "left" if conjugate else None)
    return complex_dense(
        tuple(map(join_last_two, outer)),
        tuple(ops.reshape(part, (-1, part.shape[-1])) for part in kernel),
    )


def join_last_two(tensor):
    """`(..., n, m)` → `(..., n·m)`."""
    *leading, n, m = ops.shape(tensor)
    return ops.reshape(tensor, (*leading, n * m))


def complex_conv(pair, kernel, **arguments):
    """Convolution of pairs, of any rank.

    With TensorFlow on a CPU without oneDNN, and strides and dilation of 1, the
    gradients are computed as convolutions: TensorFlow's own gradient kernels take 1.2
    to 8 times as long as the convolution of equal size that gives the same numbers.
    Those of oneDNN, which TensorFlow uses on newer CPUs, are as fast as convolutions,
    and the convolution that gives the kernel's gradient takes 1.1 to 5 times as long.

    Args:
        pair: Pair, each part `(batch, *space, inputs)`, or with the channels first.
        kernel: Pair, each part `(*window, inputs / groups, filters)`.
        **arguments: Those of `keras.ops.conv`: `strides`, `padding` (`"valid"` or
            `"same"`), `data_format`, `dilation_rate`.

    Returns:
        Pair.
    """

    def convolve(inputs, kernel):
        return channels_last(ops.conv, inputs, kernel, **arguments)

    if not _gradients_are_convolutions(pair[0], kernel[0], arguments):
        return complex_product(convolve, pair, kernel)

    padding = _padding(kernel[0].shape[:-2], arguments["padding"])

    @ops.custom_gradient
    def evaluate(*parts):
        pair, kernel = parts[:2], parts[2:]

        def gradient(*upstream):
            return (
                *_input_gradient(upstream, kernel, padding),
                *_kernel_gradient(pair, upstream, padding),
            )

        return complex_product(convolve, pair, kernel), gradient

    return evaluate(*pair, *kernel)


def conv(inputs, kernel, **arguments):
    """Real convolution with the gradients of `complex_conv`.

    Args:
        inputs: `(batch, *space, inputs)`, or with the channels first.
        kernel: `(*window, inputs / groups, filters)`.
        **arguments: Those of `keras.ops.conv`.
    """
    if not _gradients_are_convolutions(inputs, kernel, arguments):
        return channels_last(ops.conv, inputs, kernel, **arguments)

    padding = _padding(kernel.shape[:-2], arguments["padding"])

    @ops.custom_gradient
    def evaluate(inputs, kernel):
        def gradient(upstream):
            return (
                *_input_gradient((upstream,), (kernel,), padding),
                *_kernel_gradient((inputs,), (upstream,), padding),
            )

        return ops.conv(inputs, kernel, **arguments), gradient

    return evaluate(inputs, kernel)


def channels_last(convolve, inputs, kernel, **arguments):
    """A convolution of Keras, which LiteRT runs with the channels last only.

    Args:
        convolve: Function of `keras.ops`.
        inputs: Its inputs.
        kernel: Its kernel.
        **arguments: The others, `data_format` among them.
    """
    if arguments["data_format"] == "channels_last" or not targets.is_litert():
        return convolve(inputs, kernel, **arguments)
    rank = len(inputs.shape)
    inputs = ops.transpose(inputs, (0, *range(2, rank), 1))
    arguments["data_format"] = "channels_last"
    outputs = convolve(inputs, kernel, **arguments)
    return ops.transpose(outputs, (0, rank - 1, *range(1, rank - 1)))


def _product(multiply, left, right, conjugate):
    """Of pairs, or of single real tensors in tuples."""
    if len(left) == 1:
        return (multiply(left[0], right[0]),)
    return complex_product(multiply, left, right, conjugate)


def _gradients_are_convolutions(inputs, kernel, arguments):
    if keras.backend.backend() != "tensorflow" or not targets.needs_gradients():
        return False
    import tensorflow as tf

    window = kernel.shape[:-2]
    return (
        not _has_fast_gradients()
        and not tf.config.list_physical_devices("GPU")
        and arguments["data_format"] == "channels_last"
        and inputs.shape[-1] == kernel.shape[-2]
        and None not in inputs.shape[1:-1]
        and inputs.shape[0] != 0  # the batch becomes channels, of which none is refused
        and set(arguments["strides"]) == set(arguments["dilation_rate"]) == {1}
        and max(window) > 1
    )


@functools.cache
def _has_fast_gradients():
    """Whether TensorFlow uses oneDNN, which it decides by the CPU when it starts."""
    try:
        from tensorflow.python.util import _pywrap_util_port

        return _pywrap_util_port.IsMklEnabled()
    except (ImportError, AttributeError):  # Not public, and only a matter of speed.
        return False


def _padding(window, padding):
    """What `padding` adds to each spatial axis, `(before, after)`."""
    if padding == "valid":
        return [(0, 0)] * len(window)
    return [((size - 1) // 2, size // 2) for size in window]


def _pad_space(tensor, padding):
    if not any(map(sum, padding)):
        return tensor
    return ops.pad(tensor, [(0, 0), *padding, (0, 0)])


def _input_gradient(upstream, kernel, padding):
    """Gradient to the inputs: a convolution with the kernel turned around.

    Like `_kernel_gradient`, for pairs and for single real tensors in tuples.
    """
    window = kernel[0].shape[:-2]
    space = list(range(len(window)))
    axes = [*space, len(space) + 1, len(space)]
    turned = tuple(ops.transpose(ops.flip(part, space), axes) for part in kernel)
    rest = [
        (size - 1 - before, size - 1 - after)
        for size, (before, after) in zip(window, padding, strict=True)
    ]
    # Odd windows: "same" pads as the gradient needs it, without a copy.
    same = rest == _padding(window, "same")
    if not same:
        upstream = tuple(_pad_space(part, rest) for part in upstream)

    def convolve(inputs, kernel):
        padding = "same" if same else "valid"
        return ops.conv(inputs, kernel, padding=padding, data_format="channels_last")

    return _product(convolve, upstream, turned, conjugate="right")


def _kernel_gradient(pair, upstream, padding):
    """Gradient to the kernel: the inputs convolved with the upstream gradient.

    The batch takes the place of the channels that are summed over.
    """
    space = list(range(1, 1 + len(padding)))
    last = len(space) + 1
    images = tuple(
        ops.transpose(_pad_space(part, padding), [last, *space, 0]) for part in pair
    )
    kernels = tuple(ops.transpose(part, [*space, 0, last]) for part in upstream)

    def convolve(inputs, kernel):
        return ops.conv(inputs, kernel, data_format="channels_last")

    found = _product(convolve, images, kernels, conjugate="left")
    return tuple(ops.transpose(part, [*space, 0, last]) for part in found)
