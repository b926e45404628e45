"""`factorize`: structured layers that are nearest to a model's dense ones."""

import dataclasses

import keras
import numpy as np
from keras import ops as kops

from cvzoo import fitting, graph, sparsity
from cvzoo.layers import BlockCirculant, structured
from cvzoo.layers.linear import as_integer, check_size

METHODS = ("diagonal_circulant", "block_circulant", "low_rank")


@dataclasses.dataclass(frozen=True)
class FactorizationRow:
    """What became of one dense layer.

    Attributes:
        name: Of the layer.
        error: ‖kernel − structured matrix‖ / ‖kernel‖, Frobenius; 0 where both are 0.
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

    Each `keras.layers.Dense` gives way to a layer of the same name, bias, activation
    and `trainable` with a matrix as near as one is found, in the Frobenius norm. Its
    regularizers and constraints are not carried over, since they were meant for another
    matrix. Other layers stay: dense layers too that are quantized or have LoRA, or
    whose structured form has no fewer numbers. `factorization_report` says how near it
    came; `fit` goes on from there.

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
        layers: List of names of the dense layers to replace. Defaults to all.
        iterations: For `"diagonal_circulant"`: at most so many steps of L-BFGS.
        starts: Likewise: random starts, of which the best is taken.
        seed: Of the starts.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        ValueError: An argument is wrong or missing, a rank is larger than the kernel of
            a layer that was named, a kernel has numbers that are not finite, or no
            layer was replaced.
        ImportError: `"diagonal_circulant"` needs SciPy (the extra `factorize`).

    Reference:
        Paper 1, theorem 2.
    """
    _check_arguments(method, depth, rank, block_size, field)
    check_size("iterations", iterations)
    check_size("starts", starts)
    model = sparsity.without_sparsifiers(model)
    chosen = _chosen(model, layers)
    if not chosen:
        raise ValueError(
            "`factorize` replaces dense layers with a real kernel that is not "
            f"quantized. Model '{model.name}' has none."
        )
    if method == "low_rank":
        _check_rank(model, rank, layers or [])
    made = {}

    def replace(layer):
        new = None
        if layer.name in chosen and _is_dense(layer):
            new = _smaller(layer, method, depth, rank, block_size, field)
        if new is None:
            return layer.__class__.from_config(layer.get_config())
        _check_finite(layer)
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
            kernel = _kernel(old)
            matrix = kops.convert_to_numpy(new.to_dense())
            error = fitting.relative_error(kernel, matrix)
            row = (old.name, error, new.count_params(), old.count_params())
            rows.append(FactorizationRow(*row))
    return rows


def _check_arguments(method, depth, rank, block_size, field):
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {METHODS}. Received: {method!r}")
    needed = {"low_rank": ("rank", rank), "block_circulant": ("block_size", block_size)}
    name, value = needed.get(method, ("depth", depth))
    integer = as_integer(value)
    if integer is None or integer < 1:
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
    if isinstance(names, str) or not names:
        raise ValueError(
            "`layers` must be None, for all dense layers, or a list of names, for "
            f"example {known[:1]}. Received: {names!r}"
        )
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"`layers` must name dense layers of '{model.name}' that are not quantized "
            f"and have no LoRA. It has {', '.join(known) or 'none'}. Received: "
            f"{', '.join(map(str, unknown))}"
        )
    return set(names)


def _check_rank(model, rank, names):
    """Layers that were named are meant to be replaced; others stay if they must."""
    for layer in sparsity.flat_layers(model):
        if layer.name not in names or not _is_dense(layer):
            continue
        inputs, units = layer.kernel.shape
        if rank > min(inputs, units):
            raise ValueError(
                f"`rank` must be at most {min(inputs, units)} for layer '{layer.name}' "
                f"with {inputs} inputs and {units} units. Received: {rank}"
            )


def _check_finite(layer):
    kernel = _kernel(layer)
    wrong = int(np.sum(~np.isfinite(kernel)))
    if wrong:
        raise ValueError(
            f"The kernel of layer '{layer.name}' must be finite. Received: {wrong} of "
            f"{kernel.size} numbers are not. Restore weights from before training "
            "diverged, or name other layers in `layers`."
        )


def _is_dense(layer):
    """Whether it is a dense layer whose kernel is one variable of real numbers."""
    is_plain = not sparsity.has_lora(layer) and not graph.is_quantized(layer)
    return type(layer) is keras.layers.Dense and is_plain


def _kernel(layer):
    return kops.convert_to_numpy(layer.kernel).astype(float)


def _smaller(layer, method, depth, rank, block_size, field):
    """A layer in place of a dense one, or `None` if it would not be smaller."""
    inputs, units = layer.kernel.shape
    shared = {
        "units": units,
        "activation": layer.activation,
        "use_bias": layer.use_bias,
        "name": layer.name,
        "trainable": layer.trainable,
        "dtype": layer.dtype_policy,
    }
    if method == "low_rank":
        # Of larger ranks no layer is smaller.
        new = structured.LowRank(rank=min(rank, inputs, units), **shared)
    elif method == "block_circulant":
        new = BlockCirculant(block_size=block_size, **shared)
    else:
        new = structured.CirculantProduct(factors=2 * depth, field=field, **shared)
    new.build((None, inputs))
    return new if new.count_params() < layer.count_params() else None


def _pairs(old, new):
    """Layers of two models of the same form, beside each other."""
    return zip(sparsity.flat_layers(old), sparsity.flat_layers(new), strict=True)


def _assign(layer, dense, options):
    """Fits a structured layer to a dense one."""
    matrix = _kernel(dense)
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
        found = fitting.circulant_factors(
            matrix.T, layer.factors, layer.field, layer.first, **options
        )
        layer.assign_factors(found.vectors)
    if layer.use_bias:
        layer.bias.assign(dense.bias)
