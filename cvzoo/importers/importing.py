"""`import_cplxmodule`: the weights of torch networks for Keras models like them."""

import dataclasses
import math
import numbers

from cvzoo import graph
from cvzoo import weights as model_weights
from cvzoo.importers import flattening, matching, reading, table, values
from cvzoo.layers.linear import as_integer

# So many problems are told of.
_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        loaded: Variable of the model → names of the tensors that it is made of.
        missing: Variables of the model that no tensor was there for.
        unused: Tensors that no variable was there for.
        ignored: Tensors without a meaning in Keras, such as counts of batches.
    """

    loaded: dict
    missing: tuple
    unused: tuple
    ignored: tuple

    def __str__(self):
        loaded = [f"{one} ← {' · '.join(of)}" for one, of in self.loaded.items()]
        return "\n".join(
            [
                *_listed("variables loaded", loaded),
                *self._left_over(),
                *_listed("tensors without a meaning in Keras", self.ignored),
            ]
        )

    def _left_over(self):
        return [
            *_listed("variables of the model without a tensor", self.missing),
            *_listed("tensors without a variable", self.unused),
        ]


def _listed(what, names):
    return [f"{len(names)} {what}", *(f"  {name}" for name in names)] if names else []


def import_cplxmodule(
    model, weights, names=None, *, flattened=None, epsilon=1e-5, strict=True
):
    """Sets the weights of a model to those of a torch or cplxmodule network.

    Dense, convolutional, transposed, depthwise and bilinear layers and batch norm, real
    and complex, and cplxmodule's learned activations. `log_sigma2` of its VD and ARD
    layers goes to a model from `cvzoo.sparsify`; a `mask` to layers with a mask, and
    else its zeros to the weights. All of it is checked before any weight changes.

    What a state dict does not hold must be the same in the model: strides, dilation,
    groups, activations, and padding. torch's `padding=1` is Keras' `"same"` for a
    window of 3 and stride 1 only; otherwise pad with a layer of its own. Momentum 0.1
    of torch is 0.9 here.

    Args:
        model: A built Keras model.
        weights: Path of a `.npz` or `.safetensors` file of the state dict, or a
            dictionary of arrays. Pickles are refused.
        names: Prefix of a torch layer, such as `"features.0"`, → name of the Keras
            layer, `"<model>/<layer>"` in nested models; those left out are matched
            where both are equal. `None`: by equal names if all are, and else by order:
            the first of a kind (field and number of axes of the weight; batch norm)
            is the first of that kind.
        flattened: Prefix of a torch layer that works on flattened features → shape of
            the feature map, `(channels, height, width)` as torch has it. torch flattens
            the channels first, Keras last. `None` as the shape: the order is kept. A
            layer after `Flatten` that is not told of is an error.
        epsilon: That of the torch network's batch norms, which a state dict does not
            hold and the layers must have, or `None`: whatever it is.
        strict: Whether anything missing or unused is an error.

    Returns:
        An `ImportReport`.

    Raises:
        ValueError: The file cannot be read, or something does not match. All weights
            are as they were.
    """
    layers = _layers(model)
    _check_arguments(names, flattened, epsilon, strict)
    size = sum(math.prod(one.shape) * 4 for one in model.weights)
    state, is_ordered = reading.read(weights, size)
    groups = matching.group(state)
    movable = {path: one for path, one in layers.items() if table.moves(one, {})}
    matched = matching.match(groups, movable, names, is_ordered)
    plan = values.Plan()
    plan.problems += _unknown(flattened or {}, matched)
    maps = flattening.flattened_maps(model)
    for prefix, path in matched.items():
        moves, problem = flattening.reorder(
            table.moves(layers[path], groups[prefix]),
            prefix,
            flattened or {},
            maps.get(path),
        )
        plan.problems += [f"{problem}."] if problem else []
        plan.problems += _other_epsilon(path, layers[path], epsilon)
        plan.add(prefix, groups[prefix], path, moves)
    report = _report(plan, layers, matched.values(), state)
    _check(plan.problems, report, strict)
    for variable, value in plan.values:
        variable.assign(value)
    return report


def _layers(model):
    graph.check_is_model("model", model)
    found, seen = {}, set()
    for path, layer in model_weights.named_layers(model):
        if layer.weights and id(layer) not in seen:
            seen.add(id(layer))
            found[path] = layer
    return found


def _check_arguments(names, flattened, epsilon, strict):
    for name, value in (("names", names), ("flattened", flattened)):
        if value is not None and not isinstance(value, dict):
            raise ValueError(
                f"`{name}` must be a dictionary or None. Received: {value!r}"
            )
    if epsilon is not None and not isinstance(epsilon, numbers.Real):
        raise ValueError(f"`epsilon` must be a number or None. Received: {epsilon!r}")
    if not isinstance(strict, bool):
        raise ValueError(f"`strict` must be True or False. Received: {strict!r}")
    for prefix, shape in (flattened or {}).items():
        is_shape = isinstance(shape, (tuple, list)) and 2 <= len(shape) <= 4
        if shape is not None and not (
            is_shape and all((as_integer(one) or 0) > 0 for one in shape)
        ):
            raise ValueError(
                "`flattened` must give a shape (channels, height, width), or None. "
                f"Received for '{prefix}': {shape!r}"
            )


def _unknown(flattened, matched):
    return [
        f"`flattened` names '{prefix}', which is no matched layer: {list(matched)}."
        for prefix in flattened
        if prefix not in matched
    ]


def _other_epsilon(path, layer, epsilon):
    if epsilon is None or not table.is_norm(layer):
        return []
    if math.isclose(layer.epsilon, epsilon, rel_tol=1e-6):
        return []
    return [
        f"Layer '{path}' has epsilon={layer.epsilon}, the torch network {epsilon} "
        f"(torch's default). Make the layer with epsilon={epsilon}; or give `epsilon`, "
        "if the torch network has another."
    ]


def _report(plan, layers, matched, state):
    missing = list(plan.missing)
    for path, layer in layers.items():
        if path not in matched:
            missing += [f"{path}/{one.name}" for one in _needed(layer)]
    left = [key for key in state if key not in plan.used]
    ignored = [key for key in left if key.rpartition(".")[-1] in table.IGNORED]
    return ImportReport(
        loaded=plan.loaded,
        missing=tuple(missing),
        unused=tuple(key for key in left if key not in ignored),
        ignored=tuple(ignored),
    )


def _needed(layer):
    """Variables that an import would set; all of them where there is no rule."""
    moves = table.moves(layer, {})
    if moves is None:
        return layer.weights
    return [variable for move in moves for variable in move.variables]


def _check(problems, report, strict):
    """Raises where something is wrong, or, if `strict`, left over."""
    if problems:
        more = f"\n… and {len(problems) - _SHOWN} more." if problems[_SHOWN:] else ""
        listed = "\n".join(problems[:_SHOWN])
        raise ValueError(f"Nothing was imported.\n{listed}{more}")
    if strict and (report.missing or report.unused):
        listed = "\n".join(report._left_over())
        raise ValueError(
            "Nothing was imported: the model and the tensors differ. Give `names`, "
            "prefix of a torch layer → name of a Keras layer, if layers were not "
            "matched; `log_sigma2` needs a model from `cvzoo.sparsify`; strict=False "
            f"takes what there is.\n{listed}"
        )
