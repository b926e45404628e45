"""Dense layers whose weights are shared by hashing."""

import keras
from keras import ops as kops

from cvzoo import ops
from cvzoo.layers.linear import check_size
from cvzoo.layers.structured.base import StructuredDense, serialized
from cvzoo.layers.structured.permutation import check_seed

# The matrix is made at each call.
LARGEST = 2**30


@keras.saving.register_keras_serializable("cvzoo")
class HashedDense(StructuredDense):
    """Dense layer with few numbers, each in many random places of the matrix.

    `V[i, j] = ±w[h(i, j)]`: a hash function says which number and which sign, so that
    neither is stored. It makes files small, not calls fast: the matrix is put together
    at each call, and multiplied as of a dense layer.

    Args:
        units: Number of outputs.
        buckets: How many numbers there are.
        compression: Instead: entries of the matrix for each number, at least 1.
        activation: Name of, or, an activation.
        use_bias: Whether a bias is added.
        seed: Integer that the hash function is made from; drawn when `None`. It is part
            of the configuration, so copies and saved layers have the same places.
        kernel_initializer: Defaults to normal with variance 2/inputs.
        bias_initializer: Defaults to zeros.

    Call arguments:
        inputs: Tensor `(batch, ..., inputs)`.

    Returns:
        Tensor `(batch, ..., units)`.

    Raises:
        ValueError: Not one of `buckets` and `compression` is given. At build, if the
            number of inputs is not known, if there are more buckets than entries, or
            if the matrix has more than 2³⁰.

    Reference:
        [Chen et al., 2015](https://arxiv.org/abs/1504.04788), HashedNets, §4.
    """

    def __init__(
        self,
        units,
        buckets=None,
        *,
        compression=None,
        seed=None,
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        if (buckets is None) == (compression is None):
            raise ValueError(
                "Pass one of `buckets` and `compression`. Received: "
                f"buckets={buckets}, compression={compression}"
            )
        self.buckets = None if buckets is None else check_size("buckets", buckets)
        is_number = isinstance(compression, int | float)
        if compression is not None and not (is_number and compression >= 1):
            raise ValueError(
                f"`compression` must be a number of at least 1. Received: {compression}"
            )
        self.compression = compression
        self.seed = check_seed(seed)
        self.kernel_initializer = self.get_initializer(kernel_initializer)

    def build_product(self):
        entries = self.inputs * self.units
        count = self.buckets or -int(-entries // self.compression)
        if entries > LARGEST or count > entries:
            raise ValueError(
                f"HashedDense '{self.name}' has {self.inputs} inputs and {self.units} "
                f"units, a matrix of {entries} entries. It may have at most {LARGEST}, "
                f"and as many buckets as entries. Received: {count} buckets."
            )
        initializer = self.kernel_initializer or self.normal(2 / self.inputs)
        # In float32: gradients are sums over many places.
        self.add_parts("values", (count,), initializer)

    def product(self, inputs):
        return kops.matmul(inputs, kops.cast(self.to_dense(), inputs.dtype))

    def to_dense(self):
        """The layer's matrix: `layer(x)` is `activation(x @ matrix + bias)`.

        Returns:
            Tensor `(inputs, units)`.
        """
        places = kops.reshape(
            kops.arange(self.inputs * self.units, dtype="int32"),
            (self.inputs, self.units),
        )
        hashed = ops.murmur_hash(places, self.seed)
        sign = kops.cast(hashed % 2, self.values.dtype) * 2 - 1
        bucket = kops.cast(hashed // 2, "int32") % self.values.shape[0]
        return kops.take(self.values, bucket) * sign

    def get_config(self):
        return {
            **super().get_config(),
            "buckets": self.buckets,
            "compression": self.compression,
            "seed": self.seed,
            "kernel_initializer": serialized(self.kernel_initializer),
        }
