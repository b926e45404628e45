"""How each layer of an exported network is computed, by what that costs."""

import math

import keras
import numpy as np
from keras import ops as kops

from cvzoo import graph, layers, sparsity
from cvzoo.exporting import costs
from cvzoo.layers.circulant import CirculantBase
from cvzoo.ops import complex_dense
from cvzoo.ops.shapes import leading

DENSE, SPARSE, TRANSFORM = "dense", "sparse", "transform"
# Part of zeros in a matrix below which LiteRT's converter keeps them; it is about 0.3.
_LITERT_SPARSITY = 0.25


def choose(model, batch_size, format, table=None):
    """A model whose layers are computed in the cheapest way, and which way that is.

    Args:
        model: A Functional model of plain layers.
        batch_size: Examples of a call.
        format: `"tf_saved_model"` or `"litert"`. LiteRT skips zeros by itself.
        table: `costs.Costs`. Defaults to those of this machine, if they were measured.

    Returns:
        The model, over the same weights, and path of each layer that there is a choice
        for → `"dense"`, `"sparse"` or `"transform"`.
    """
    table = costs.load() if table is None else table
    chosen = {}
    model = _replaced(
        model, lambda layer: _fastest(layer, batch_size, format, table), chosen
    )
    return model, chosen


def _replaced(model, fastest, chosen, prefix=""):
    plan = graph.read(model)
    new = {}
    for name, layer in plan.layers.items():
        if name in plan.inputs:
            shape, dtype = layer.batch_shape, layer.dtype
            new[name] = keras.Input(batch_shape=shape, dtype=dtype, name=name)
        elif graph.is_nested(layer):
            new[name] = _replaced(layer, fastest, chosen, f"{prefix}{name}/")
        else:
            new[name], way = fastest(layer)
            if way is not None:
                chosen[prefix + name] = way
    return graph.rebuild(plan, new, model.name)


def _fastest(layer, batch_size, format, table):
    """A layer as it is computed, and the name of the way, `None` without a choice."""
    if graph.is_quantized(layer):
        return layer, None
    if type(layer) in (keras.layers.Dense, layers.ComplexDense):
        if format == "litert":
            return _in_fours(layer), None
        matrix = _matrix(layer)
        batch_size *= _positions(layer)
        sparse = table.sparse(np.count_nonzero(matrix), batch_size)
        if sparse < table.dense(*matrix.shape, batch_size):
            return SkippingZeros(layer), SPARSE
        return layer, DENSE
    # Convolutions stay as they are: patches times a sparse matrix took longer, or no
    # less time, for all but the sparsest kernels of shipped presets.
    if isinstance(layer, CirculantBase):
        return _circulant(layer, batch_size, format, table)
    return layer, None


def _in_fours(layer):
    """A dense layer as LiteRT's converter packs it rightly."""
    kernel = sparsity.kernel_variables(layer)
    sparsities = [np.mean(kops.convert_to_numpy(part) == 0) for part in kernel]
    if kernel[0].shape[0] % 4 == 0 or max(sparsities) < _LITERT_SPARSITY:
        return layer
    return PaddedToFours(layer)


def _circulant(layer, batch_size, format, table):
    parts = len(layer.circulant_parts)
    rows, columns = parts * layer.inputs, parts * layer.units
    if format == "litert":
        is_faster = rows * columns <= costs.LITERT_MATRIX
    else:
        batch_size *= _positions(layer)
        points = parts * layer.blocks * layer.size
        dense = table.dense(rows, columns, batch_size)
        is_faster = dense < table.transform(points, batch_size)
    return (AsMatrix(layer), DENSE) if is_faster else (layer, TRANSFORM)


def _positions(layer):
    """How often a layer's matrix is multiplied with for one example.

    Those along axes between the first and the last, as of time; open ones are left out.
    """
    shape = keras.tree.flatten(layer.input)[0].shape
    return math.prod(size or 1 for size in shape[1:-1])


def _matrix(layer):
    """The kernel as a numpy array; of a complex layer, that of what computes it."""
    return kops.convert_to_numpy(_real_matrix(sparsity.kernel_variables(layer)))


def _real_matrix(parts):
    """`[[R, I], [−I, R]]` of a complex matrix: `[x, y] @ it` is `[real, imag]`."""
    if len(parts) == 1:
        return kops.convert_to_tensor(parts[0])
    real, imag = (kops.convert_to_tensor(part) for part in parts)
    top, bottom = kops.concatenate([real, imag], 1), kops.concatenate([-imag, real], 1)
    return kops.concatenate([top, bottom], 0)


class _Computed(keras.layers.Layer):
    """A linear layer that is computed in another way: `product` gives `x @ matrix`.

    Args:
        layer: The layer, whose weights and activation are used.
    """

    def __init__(self, layer):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer = layer
        self.supports_masking = True

    def call(self, inputs):
        is_pair = isinstance(inputs, (tuple, list))
        joined = kops.concatenate(inputs, -1) if is_pair else inputs
        outputs = self.product(kops.cast(joined, self.compute_dtype))
        if self.layer.use_bias:
            bias = kops.concatenate(self.bias(), 0)
            outputs = outputs + kops.cast(bias, outputs.dtype)
        if is_pair:
            return tuple(map(self.layer.activation, kops.split(outputs, 2, -1)))
        return self.layer.activation(outputs)

    def bias(self):
        """Parts of the layer's bias."""
        layer = self.layer
        if hasattr(layer, "bias_real"):
            return [
                kops.convert_to_tensor(layer.bias_real),
                kops.convert_to_tensor(layer.bias_imag),
            ]
        return [kops.convert_to_tensor(layer.bias)]


class SkippingZeros(_Computed):
    """A dense layer, real or complex, that multiplies with what is not zero only."""

    def product(self, inputs):
        import tensorflow as tf

        matrix = tf.transpose(_real_matrix(sparsity.kernel_variables(self.layer)))
        places = tf.where(matrix != 0)
        values = tf.cast(tf.gather_nd(matrix, places), inputs.dtype)
        shape = tf.constant(matrix.shape.as_list(), tf.int64)
        sparse = tf.SparseTensor(places, values, shape)
        flat = tf.reshape(inputs, (-1, inputs.shape[-1]))
        outputs = tf.sparse.sparse_dense_matmul(sparse, flat, adjoint_b=True)
        return tf.reshape(tf.transpose(outputs), (*leading(inputs), matrix.shape[0]))


class PaddedToFours(_Computed):
    """A dense layer, real or complex, of inputs with zeros up to a multiple of 4.

    LiteRT's converter may pack the numbers of a sparse kernel by fours, along the
    inputs, and gives wrong ones where these are no multiple.
    """

    def call(self, inputs):
        is_pair = isinstance(inputs, (tuple, list))
        kernel = sparsity.kernel_variables(self.layer)
        missing = -kernel[0].shape[0] % 4
        kernel = [
            kops.pad(kops.cast(part, self.compute_dtype), [(0, missing), (0, 0)])
            for part in kernel
        ]
        parts = [
            kops.pad(part, [(0, 0)] * (len(part.shape) - 1) + [(0, missing)])
            for part in (inputs if is_pair else [inputs])
        ]
        if is_pair:
            outputs = complex_dense(parts, kernel)
        else:
            outputs = [kops.matmul(parts[0], kernel[0])]
        if self.layer.use_bias:
            outputs = [
                part + kops.cast(bias, part.dtype)
                for part, bias in zip(outputs, self.bias(), strict=True)
            ]
        outputs = tuple(map(self.layer.activation, outputs))
        return outputs if is_pair else outputs[0]


class AsMatrix(_Computed):
    """A structured layer whose matrix is made once and then multiplied with."""

    def product(self, inputs):
        matrix = self.layer.to_dense()
        parts = matrix if isinstance(matrix, (tuple, list)) else (matrix,)
        return kops.matmul(inputs, kops.cast(_real_matrix(parts), inputs.dtype))
