"""Sums of products of polynomials, by the fast Fourier transform.

Three tensors `left` `(b, q, ·)`, `right` `(r, q, ·)` and `product` `(b, r, ·)`, with
coefficients along the last axis, stand in one trilinear form:

    Σ left[b, q, i] · right[r, q, j] · product[b, r, i + j]

Each function here is its derivative with respect to one of the three, and so are the
gradients of each. Sums are taken of spectra, so that there is one transform per tensor.
"""

import functools

import keras
from keras import ops

from cvzoo.ops import targets
from cvzoo.ops.pairs import inverse_real_fourier, real_fourier

AXES = {"left": "bqf", "right": "rqf", "product": "brf"}
# Place, among `brqf`, of the axis that each has not.
MISSING = {"left": 1, "right": 0, "product": 2}


def polynomial_products(left, right):
    """`Σ_q left[b, q] · right[r, q]`, products of polynomials.

    Args:
        left: Tensor `(b, q, m)` of float32 or float64.
        right: Tensor `(r, q, m)` of the same dtype.

    Returns:
        Tensor `(b, r, 2m − 1)`.
    """
    size = 2 * right.shape[-1] - 1
    return _form("product", size, size, left=left, right=right)


def transposed_products(product, right):
    """The transpose of `polynomial_products`, taken as a linear map of `left`.

    Entry `[b, q, i]` is `Σ product[b, r, i + j] · right[r, q, j]` over r and j.

    Args:
        product: Tensor `(b, r, 2m − 1)` of float32 or float64.
        right: Tensor `(r, q, m)` of the same dtype.

    Returns:
        Tensor `(b, q, m)`.
    """
    size = product.shape[-1]
    return _form("left", right.shape[-1], size, product=product, right=right)


@functools.cache
def fast_length(size):
    """The first length from `size` on without prime factors above 5.

    Transforms of others are slower, of primes most of all.
    """
    length = size
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def _form(target, size, longest, **tensors):
    """The first `size` coefficients of one of the three, from the two others."""
    if targets.is_litert():
        length = 2 ** (longest - 1).bit_length()
    else:
        length = fast_length(longest)
    if keras.backend.backend() == "tensorflow" and not targets.is_litert():
        return _tensorflow_form(target, size, length, tensors)
    spectra = {name: real_fourier(one, length) for name, one in tensors.items()}
    (a, b), (u, v) = _factors(target, spectra, _conjugate)
    sums = functools.partial(ops.einsum, _equation(target, spectra))
    spectrum = sums(a, u) - sums(b, v), sums(a, v) + sums(b, u)
    return inverse_real_fourier(spectrum, length)[..., :size]


def _tensorflow_form(target, size, length, tensors):
    """The same with its gradients, which use the spectra that are there already.

    TensorFlow's own gradient of `rfft` transforms more than it needs.
    """
    import tensorflow as tf

    # Both public forms have it.
    rank, terms, _ = tensors["right"].shape

    def values(target, size, spectra):
        factors = _factors(target, spectra, tf.math.conj)
        if 1 in (rank, terms):
            # The transposes of `einsum` would take longer than all else.
            factors = (
                tf.expand_dims(factor, MISSING[name])
                for name, factor in zip(spectra, factors, strict=True)
            )
            spectrum = tf.reduce_sum(tf.multiply(*factors), MISSING[target])
        else:
            spectrum = tf.einsum(_equation(target, spectra), *factors)
        return tf.signal.irfft(spectrum, [length])[..., :size]

    def spectrum(tensor):
        # `rfft` pads by itself, but not where the batch is empty.
        sides = [(0, 0), (0, 0), (0, length - tensor.shape[-1])]
        return tf.signal.rfft(tf.pad(tensor, sides))

    @tf.custom_gradient
    def form(*arguments):
        spectra = [spectrum(one) for one in arguments]
        first, second = zip(tensors, spectra, strict=True)

        def gradient(upstream):
            above = target, spectrum(upstream)
            return [
                values(name, tensors[name].shape[-1], dict([above, other]))
                for (name, _), other in ((first, second), (second, first))
            ]

        return values(target, size, dict([first, second])), gradient

    return form(*tensors.values())


def _equation(target, spectra):
    """That of the `einsum` of the two others."""
    return ",".join(AXES[name] for name in spectra) + "->" + AXES[target]


def _factors(target, spectra, conjugate):
    """Factors of the product of spectra: what is correlated is conjugated."""
    kept = AXES if target == "product" else ["product"]
    return [one if name in kept else conjugate(one) for name, one in spectra.items()]


def _conjugate(pair):
    real, imag = pair
    return real, -imag
