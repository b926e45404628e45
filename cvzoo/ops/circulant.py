"""Products with circulant matrices, by the fast Fourier transform.

`circ(c)` is the matrix whose first column is `c`: entry `(j, k)` is `c[(j − k) mod n]`,
and `circ(c) · x` is the circular convolution of `c` and `x`. Any length will do; primes
take about twice the time. All is computed in float32, or in float64 for such inputs,
since there is no transform in half precision.
"""

import keras
from keras import ops

from cvzoo.ops import real_transforms, targets
from cvzoo.ops.products import complex_multiply
from cvzoo.ops.shapes import leading

# Of spectra: sums over the blocks of the inputs.
BLOCKS = "...qf,pqf->...pf"


def circulant_product(inputs, kernel, transpose=False):
    """`circ(kernel) · x` for each `x` along the last axis of the inputs.

    Args:
        inputs: Tensor `(..., n)`.
        kernel: Tensor `(n,)`: first column of the matrix. Or `(q, n)`, of a matrix for
            each place of the inputs' axis before the last, and so on.
        transpose: Whether the matrix is transposed.

    Returns:
        Tensor of the shape and dtype of the inputs.

    Reference:
        Paper 1, §3: `F⁻¹(F c ⊙ F x)`.
    """
    dtype = inputs.dtype
    inputs, kernel = wide(inputs, dtype), wide(kernel, dtype)
    if transpose:
        kernel = reverse(kernel)
    if targets.is_litert():
        (outputs,) = real_transforms.circulant_products([inputs], [kernel])
    elif keras.backend.backend() == "tensorflow":
        outputs = _tensorflow_product()(inputs, kernel)
    else:
        spectrum = complex_multiply(ops.rfft(inputs), ops.rfft(kernel))
        outputs = ops.irfft(spectrum, fft_length=inputs.shape[-1])
    return ops.cast(outputs, dtype)


def complex_circulant_product(inputs, kernel, transpose=False):
    """`circ(kernel) · z` for each complex `z` along the last axis.

    Args:
        inputs: Pair of tensors `(..., n)`.
        kernel: Pair of tensors as in `circulant_product`.
        transpose: Whether the matrix is transposed; it is not conjugated.

    Returns:
        Pair of the shape and dtype of the inputs.
    """
    dtype = inputs[0].dtype
    inputs = tuple(wide(part, dtype) for part in inputs)
    kernel = tuple(wide(part, dtype) for part in kernel)
    if transpose:
        kernel = tuple(reverse(part) for part in kernel)
    if targets.is_litert():
        outputs = real_transforms.circulant_products(inputs, kernel)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        spectra = [tf.signal.fft(tf.complex(*pair)) for pair in (inputs, kernel)]
        product = tf.signal.ifft(spectra[0] * spectra[1])
        outputs = tf.math.real(product), tf.math.imag(product)
    else:
        outputs = _inverse(complex_multiply(ops.fft(inputs), ops.fft(kernel)))
    return tuple(ops.cast(part, dtype) for part in outputs)


def block_circulant_product(inputs, kernel):
    """`M · x` of a matrix with circulant blocks, `yᵢ = Σⱼ circ(kernel[i, j]) · xⱼ`.

    Args:
        inputs: Tensor `(..., q · b)`.
        kernel: Tensor `(p, q, b)`: first columns of the blocks of M.

    Returns:
        Tensor `(..., p · b)` of the dtype of the inputs.
    """
    dtype = inputs.dtype
    inputs, kernel = wide(inputs, dtype), wide(kernel, dtype)
    rows, columns, size = kernel.shape
    blocks = ops.reshape(inputs, (*leading(inputs), columns, size))
    if targets.is_litert():
        (outputs,) = real_transforms.circulant_products([blocks], [kernel], _sums)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        spectrum = tf.einsum(BLOCKS, tf.signal.rfft(blocks), tf.signal.rfft(kernel))
        outputs = tf.signal.irfft(spectrum, [size])
    else:
        spectrum = _sums(ops.rfft(blocks), ops.rfft(kernel))
        outputs = ops.irfft(spectrum, fft_length=size)
    outputs = ops.reshape(outputs, (*leading(inputs), rows * size))
    return ops.cast(outputs, dtype)


def complex_block_circulant_product(inputs, kernel):
    """`M · z` of a complex matrix with circulant blocks.

    Args:
        inputs: Pair of tensors `(..., q · b)`.
        kernel: Pair of tensors `(p, q, b)`: first columns of the blocks of M.

    Returns:
        Pair of tensors `(..., p · b)` of the dtype of the inputs.
    """
    dtype = inputs[0].dtype
    inputs = tuple(wide(part, dtype) for part in inputs)
    kernel = tuple(wide(part, dtype) for part in kernel)
    rows, columns, size = kernel[0].shape
    shape = leading(inputs[0])
    blocks = [ops.reshape(part, (*shape, columns, size)) for part in inputs]
    if targets.is_litert():
        outputs = real_transforms.circulant_products(blocks, kernel, _sums)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        spectra = [tf.signal.fft(tf.complex(*pair)) for pair in (blocks, kernel)]
        product = tf.signal.ifft(tf.einsum(BLOCKS, *spectra))
        outputs = tf.math.real(product), tf.math.imag(product)
    else:
        outputs = _inverse(_sums(ops.fft(tuple(blocks)), ops.fft(kernel)))
    return tuple(
        ops.cast(ops.reshape(part, (*shape, rows * size)), dtype) for part in outputs
    )


def circulant_matrix(kernel):
    """`circ(kernel)`, or for `(..., n)` one matrix each, `(..., n, n)`."""
    size = kernel.shape[-1]
    place = ops.arange(size)
    return ops.take(kernel, (place[:, None] - place[None, :]) % size, axis=-1)


def reverse(kernel):
    """`c′[k] = c[−k mod n]` along the last axis: `circ(c′)` is `circ(c)` transposed."""
    return ops.roll(ops.flip(kernel, axis=-1), 1, axis=-1)


def wide(tensor, dtype):
    """At least float32, as its inputs of some dtype are."""
    is_double = keras.backend.standardize_dtype(dtype) == "float64"
    return ops.cast(tensor, "float64" if is_double else "float32")


def _sums(blocks, kernel):
    """Sums of `BLOCKS`, of pairs."""
    (a, b), (u, v) = blocks, kernel

    def sums(x, c):
        return ops.einsum(BLOCKS, x, c)

    return sums(a, u) - sums(b, v), sums(a, v) + sums(b, u)


def _inverse(pair):
    """Inverse transform of a pair, which Keras has in two dimensions only."""
    real, imag = ops.fft((pair[0], -pair[1]))
    size = real.shape[-1]
    return real / size, -imag / size


def _tensorflow_product():
    """The product with its gradient, on TensorFlow tensors.

    TensorFlow's own gradient of `rfft` transforms more than it needs. Here the sum over
    the batch is taken of spectra, so that the kernel's gradient is one transform.
    """
    import tensorflow as tf

    def product(inputs, kernel):
        size = [kernel.shape[-1]]
        spectrum, response = tf.signal.rfft(inputs), tf.signal.rfft(kernel)

        def gradient(upstream):
            above = tf.signal.rfft(upstream)
            to_inputs = tf.signal.irfft(above * tf.math.conj(response), size)
            crossed = above * tf.math.conj(spectrum)
            axes = list(range(len(inputs.shape) - len(kernel.shape)))
            to_kernel = tf.signal.irfft(tf.reduce_sum(crossed, axes), size)
            return to_inputs, to_kernel

        return tf.signal.irfft(spectrum * response, size), gradient

    if not targets.needs_gradients():
        return lambda inputs, kernel: product(inputs, kernel)[0]
    return tf.custom_gradient(product)
