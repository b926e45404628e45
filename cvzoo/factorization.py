"""`factorize`: structured layers that are nearest to a model's dense ones."""

import dataclasses

import keras
import numpy as np
from keras import ops as kops

from cvzoo import fitting, graph, sparsity
from cvzoo.layers import BlockCirculant, structured

METHODS = ("diagonal_circulant", "block_circulant", "low_rank")


@dataclasses.dataclass(frozen=True)
class FactorizationRow:
    """What became of one dense layer.

    Attributes:
        name: Of the layer.
        error: ‖kernel − structured matrix‖ / ‖kernel‖, Frobenius.
        parameters: Numbers of the structured layer, its bias included.
        dense_parameters: Those of the dense one.
    """

    name: str
    error: float
    parameters: int
    dense_parameters: int


def factorize(
    model,
    method="diagonal_circulant",
    depth=4,
    rank=None,
    block_size=None,
    field="real",
    layers=None,
    iterations=300,
    starts=1,
    seed=0,
):
    """A copy of a model with structured layers fitted to its dense ones.

    Each `keras.layers.Dense` gives way to a layer of the same name, bias and
    activation with a matrix as near as one is found, in the Frobenius norm. Other
    layers stay, and so do dense layers whose structured form has no fewer numbers.
    `factorization_report` says how near it came; `fit` goes on from there.

    Args:
        model: A Functional or Sequential Keras model, nested ones included. It is left
            alone.
        method: `"low_rank"`: two thin matrices, the nearest there are (by singular
            values). `"block_circulant"`: circulant blocks, the nearest there are.
            `"diagonal_circulant"`: a product of circulant and diagonal matrices, a
            local optimum, found by L-BFGS; it takes minutes for a thousand units.
        depth: For `"diagonal_circulant"`: number of diagonal-circulant pairs, 2n
            numbers each, n being the larger of inputs and units.
        rank: For `"low_rank"`.
        block_size: For `"block_circulant"`.
        field: For `"diagonal_circulant"`: `"real"`, or `"complex"` factors, which count
            twice.
        layers: Names of the dense layers to replace. Defaults to all.
        iterations: For `"diagonal_circulant"`: at most so many steps of L-BFGS.
        starts: Likewise: random starts, of which the best is taken.
        seed: Of the starts.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        ValueError: An argument is wrong or missing, a rank is larger than a kernel,
            or no layer was replaced.
        ImportError: `"diagonal_circulant"` needs SciPy (the extra `factorize`).

    Reference:
        Paper 1, theorem 2.
    """
    _check_arguments(method, depth, rank, block_size, field)
    model = sparsity.without_sparsifiers(model)
    chosen = _chosen(model, layers)
    made = {}

    def replace(layer):
        if layer.name not in chosen or not _is_dense(layer):
            return layer.__class__.from_config(layer.get_config())
        new = _structured(layer, method, depth, rank, block_size, field)
        new.build((None, layer.kernel.shape[0]))
        if new.count_params() >= layer.count_params():
            return layer.__class__.from_config(layer.get_config())
        made[layer.name] = new
        return new

    copy = sparsity.cloned(model, replace)
    if not made:
        raise ValueError(
            f"No dense layer of '{model.name}' would have fewer numbers by "
            f"method={method!r}. Lower depth or rank, or raise block_size."
        )
    options = {"iterations": iterations, "starts": starts, "seed": seed}
    for old, new in _pairs(model, copy):
        if type(old) is type(new):
            sparsity.copy_variables(old, new)
        else:
            _assign(new, old, options)
    return copy


def factorization_report(factorized, model):
    """How near structured layers are to the dense ones that they replaced.

    Args:
        factorized: Result of `factorize`, trained on or not.
        model: What `factorize` was given.

    Returns:
        List of `FactorizationRow`, one for each layer that was replaced.
    """
    rows = []
    for old, new in _pairs(graph.functional(model), graph.functional(factorized)):
        if _is_dense(old) and not _is_dense(new):
            kernel = kops.convert_to_numpy(old.kernel)
            rest = kops.convert_to_numpy(new.to_dense()) - kernel
            error = float(np.linalg.norm(rest) / np.linalg.norm(kernel))
            row = (old.name, error, new.count_params(), old.count_params())
            rows.append(FactorizationRow(*row))
    return rows


def _check_arguments(method, depth, rank, block_size, field):
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {METHODS}. Received: {method!r}")
    needed = {"low_rank": ("rank", rank), "block_circulant": ("block_size", block_size)}
    name, value = needed.get(method, ("depth", depth))
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"`{name}` must be a whole number of at least 1 for method={method!r}. "
            f"Received: {value!r}"
        )
    if field not in ("real", "complex"):
        raise ValueError(f"`field` must be 'real' or 'complex'. Received: {field!r}")
    if method == "diagonal_circulant":
        try:
            import scipy.optimize  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "Fitting diagonal-circulant factors needs SciPy: "
                'pip install "cvzoo[factorize]"'
            ) from error


def _chosen(model, names):
    """Names of the dense layers to replace."""
    known = [one.name for one in sparsity.flat_layers(model) if _is_dense(one)]
    if names is None:
        return set(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"`layers` must name dense layers of '{model.name}', which has "
            f"{', '.join(known) or 'none'}. Received: {', '.join(map(str, unknown))}"
        )
    return set(names)


def _is_dense(layer):
    return type(layer) is keras.layers.Dense and not sparsity.has_lora(layer)


def _structured(layer, method, depth, rank, block_size, field):
    """A layer in place of a dense one."""
    inputs, units = layer.kernel.shape
    shared = {
        "units": units,
        "activation": layer.activation,
        "use_bias": layer.use_bias,
        "name": layer.name,
        "dtype": layer.dtype_policy,
    }
    if method == "low_rank":
        if rank > min(inputs, units):
            raise ValueError(
                f"`rank` must be at most {min(inputs, units)} for layer '{layer.name}' "
                f"with {inputs} inputs and {units} units. Received: {rank}"
            )
        return structured.LowRank(rank=rank, **shared)
    if method == "block_circulant":
        return BlockCirculant(block_size=block_size, **shared)
    return structured.CirculantProduct(factors=2 * depth, field=field, **shared)


def _pairs(old, new):
    """Layers of two models of the same form, beside each other."""
    return zip(sparsity.flat_layers(old), sparsity.flat_layers(new), strict=True)


def _assign(layer, dense, options):
    """Fits a structured layer to a dense one."""
    matrix = kops.convert_to_numpy(dense.kernel).astype(float)
    if isinstance(layer, structured.LowRank):
        for variable, value in zip(
            (layer.left, layer.right),
            fitting.low_rank(matrix, layer.rank),
            strict=True,
        ):
            variable.assign(value)
    elif isinstance(layer, BlockCirculant):
        layer.circulant.assign(fitting.block_circulant(matrix.T, layer.block_size))
    else:
        size = max(matrix.shape)
        square = np.zeros((size, size))
        square[: matrix.shape[1], : matrix.shape[0]] = matrix.T
        found = fitting.circulant_factors(
            square, layer.factors, layer.field, layer.first, **options
        )
        layer.assign_factors(found.vectors)
    if layer.use_bias:
        layer.bias.assign(dense.bias)
