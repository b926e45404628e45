"""`shrink`: plain layers without the channels that no longer matter."""

import itertools
from typing import NamedTuple

import keras
import numpy as np
from keras import ops as kops

from cvzoo import folding, graph, sparsity
from cvzoo.channels import calling, fields, kinds, linear_rule, rules
from cvzoo.layers.complex import PairLayer


def shrink(model):
    """A copy of plain layers, without channels that make no difference, same outputs.

    A unit, filter or channel goes when nothing that reads it has a weight for it, or
    when it is a constant that all its readers can take into their biases: a Dense layer
    always, a convolution where no padding hides the constant at the border. Channels
    that an addition, or a layer that is called twice, ties to each other go together,
    as do all channels of a group of a grouped convolution.
    Batch norm is folded into the dense layer or convolution before it (a complex one
    leaves 2 of its 11 numbers a channel, in a `cvzoo.layers.WidelyLinear`), and LoRA is
    merged into the kernel. Inputs and outputs of the model stay, as do channels of
    layers that are not understood, such as attention, recurrent ones and Fourier
    transforms. A layer keeps at least one unit.

    Args:
        model: Result of `cvzoo.prune`, fine-tuned; or any Functional or Sequential
            model with zeros in its kernels, nested models included.

    Returns:
        A `keras.Model`, not compiled.
    """
    sparsity.warn_if_unpruned(model, "cvzoo.shrink")
    level = _Level(folding.fold(sparsity.without_sparsifiers(model)))
    tape = _Tape(level)
    return _rebuild(level, tape, _plan(tape))


class _Level:
    """A model's graph, and those of the models nested in it.

    Attributes:
        folded: What `folding.fold` found: the graph, and the values of its layers.
        nested: Name → `_Level`.
    """

    def __init__(self, folded):
        self.folded = folded
        self.graph = folded.graph
        self.nested = {name: _Level(inner) for name, inner in folded.nested.items()}
        # Numbers of the tensors that the first call of a nested model receives.
        self.first_inputs = None


class _Step(NamedTuple):
    """A call of a layer that is no nested model, on numbered tensors."""

    layer: object
    rule: object
    inputs: list
    outputs: list


class _Tape:
    """All calls of a model and of those nested in it, in order.

    Attributes:
        steps: The calls.
        shapes: Shape of each tensor.
        sizes: Its number of channels.
        pinned: Tensors that keep all channels: inputs and outputs of the model.
        tied: Pairs of tensors of the same channels, beyond what the rules say.
    """

    def __init__(self, level):
        self.steps, self.shapes, self.sizes, self.tied = [], [], [], []
        self._first_call = {}
        plan = level.graph
        inputs = [_input_like(plan.layers[name]) for name in plan.inputs]
        numbers = [self._number(tensor.shape) for tensor in inputs]
        outputs = self._follow(level, inputs, numbers)
        self.outputs = [number for _, number in outputs]
        self.pinned = [*numbers, *self.outputs]

    def _number(self, shape):
        size = shape[-1] if len(shape) > 1 else None
        self.shapes.append(tuple(shape))
        self.sizes.append(size or 0)
        return len(self.sizes) - 1

    def _follow(self, level, inputs, numbers, is_masked=False):
        """Runs through a level's calls; returns its outputs and their numbers."""
        plan = level.graph
        known = {
            graph.Tensor(name, 0, 0): (tensor, number)
            for name, tensor, number in zip(plan.inputs, inputs, numbers, strict=True)
        }
        for call in plan.calls:
            has_mask = is_masked or "mask" in call.kwargs
            is_nested = call.layer in level.nested
            if is_nested or kinds.takes_mask(plan.layers[call.layer]):
                call = call.unmasked
            read = [known[tensor] for tensor in call.tensors]
            if is_nested:
                inner = level.nested[call.layer]
                found = self._follow_nested(inner, *zip(*read, strict=True), has_mask)
            elif call.layer in level.folded.gone:
                found = read
            else:
                args, kwargs = graph.map_tensors(
                    (call.args, call.kwargs), lambda tensor: known[tensor][0]
                )
                layer = plan.layers[call.layer]
                made = keras.tree.flatten(layer(*args, **kwargs))
                found = [(tensor, self._number(tensor.shape)) for tensor in made]
                values = level.folded.values.get(call.layer)
                self._record(layer, values, read, found, call, has_mask)
            for index, output in enumerate(found):
                known[graph.Tensor(call.layer, call.number, index)] = output
        return [known[tensor] for tensor in plan.outputs]

    def _follow_nested(self, inner, inputs, numbers, has_mask):
        if inner.first_inputs is None:
            inner.first_inputs = numbers
        self.tied += zip(inner.first_inputs, numbers, strict=True)
        return self._follow(inner, inputs, numbers, has_mask)

    def _record(self, layer, values, read, found, call, has_mask):
        shapes = [[tuple(tensor.shape) for tensor, _ in side] for side in (read, found)]
        rule = None
        if _is_plain(layer, call):
            rule = rules.rule_for(layer, values, *shapes, call.args, has_mask)
        step = _Step(layer, rule, [n for _, n in read], [n for _, n in found])
        self.steps.append(step)
        if not kinds.has_size(layer):
            return
        first = self._first_call.setdefault(id(layer), step)
        # One of the calls may have more, such as a mask.
        for before, now in ((first.inputs, step.inputs), (first.outputs, step.outputs)):
            self.tied += zip(before, now, strict=False)


def _is_plain(layer, call):
    """Whether a call is `layer(inputs)`; with more a layer may do something else."""
    is_called_so = kinds.is_operation(layer) or len(call.args) == 1
    return is_called_so and not any(call.kwargs.values())


class _Plan(NamedTuple):
    """What `shrink` decided.

    Attributes:
        keep: For each tensor, which channels stay.
        constants: For each tensor, the constant that each channel is, or NaN.
    """

    keep: list
    constants: list


def _plan(tape):
    constants = _constants(tape)
    groups = _groups(tape)
    pinned = np.zeros(max(group.max(initial=-1) for group in groups) + 1, bool)
    for number in tape.pinned:
        pinned[groups[number]] = True
    for step in tape.steps:
        if step.rule is None:
            whole = step.inputs + step.outputs
        else:
            whole = step.outputs if step.rule.is_mixing else []
        for number in whole:
            pinned[groups[number]] = True
    while True:
        dropped = _dropped(tape, groups, pinned, constants)
        keep = [~dropped[group] for group in groups]
        # A layer has at least one unit.
        empty = [
            group[0]
            for group, kept in zip(groups, keep, strict=True)
            if kept.size and not kept.any()
        ]
        if not empty:
            return _Plan(keep, constants)
        pinned[empty] = True


def _constants(tape):
    """For each tensor, what each channel is whatever the inputs are, or NaN."""
    last_use = {n: at for at, step in enumerate(tape.steps) for n in step.inputs}
    constants = [np.full(size, np.nan) for size in tape.sizes]
    found = {}
    for at, step in enumerate(tape.steps):
        if step.rule is not None:
            shapes = [tape.shapes[n] for n in step.inputs]
            inputs = [
                fields.spread(step.layer, found.get(n) or _unknown(shape), shape)
                for n, shape in zip(step.inputs, shapes, strict=True)
            ]
            for number, field in zip(
                step.outputs, step.rule.fields(inputs), strict=True
            ):
                if None in tape.shapes[number][1:]:
                    field = _even_only(field, tape.shapes[number])
                found[number] = field
                constants[number] = field.constants()
        for number in step.inputs:  # fields are as large as the tensors are
            if last_use[number] == at:
                found.pop(number, None)
    _agree_between_calls(tape, constants)
    return constants


def _unknown(shape):
    values = np.zeros([1, *(size or 1 for size in shape[1:])], np.float32)
    return fields.Field(np.zeros(values.shape, bool), values)


def _even_only(field, shape):
    """Where the size is not known, only what does not depend on the place."""
    constants = field.constants()
    shape = [1, *(size or 1 for size in shape[1:])]
    known, values = ~np.isnan(constants), np.nan_to_num(constants).astype(np.float32)
    return fields.Field(*(np.broadcast_to(part, shape) for part in (known, values)))


def _agree_between_calls(tape, constants):
    """A layer has one bias for all its calls, which takes over one constant only."""
    first = {}
    for step in tape.steps:
        if isinstance(step.rule, linear_rule.Linear):
            one = first.setdefault(id(step.layer), step)
            for left, right in zip(one.inputs, step.inputs, strict=True):
                differ = constants[left] != constants[right]
                if left != right:
                    constants[left][differ] = constants[right][differ] = np.nan


def _groups(tape):
    """For each tensor, the number of the group that each channel stays or goes with."""
    starts = np.cumsum([0, *tape.sizes])
    ids = [np.arange(start, end) for start, end in itertools.pairwise(starts)]
    ties = [(ids[left], ids[right]) for left, right in tape.tied if left != right]
    for step in tape.steps:
        if isinstance(step.rule, rules.Mapped):
            for output, sources in zip(step.outputs, step.rule.sources, strict=True):
                for source in sources:
                    there = source.channels >= 0
                    origin = ids[step.inputs[source.position]]
                    ties.append((ids[output][there], origin[source.channels[there]]))
        if step.rule is not None and isinstance(step.layer, PairLayer):
            for parts in (step.inputs, step.outputs):  # of one complex number
                ties += [(ids[parts[0]], ids[other]) for other in parts[1:]]
    labels = np.arange(starts[-1])
    while True:
        before = labels.copy()
        for left, right in (*ties, *reversed(ties)):
            lowest = np.minimum(labels[left], labels[right])
            np.minimum.at(labels, left, lowest)
            np.minimum.at(labels, right, lowest)
        if np.array_equal(labels, before):
            return [labels[one] for one in ids]


def _dropped(tape, groups, pinned, constants):
    """For each group of channels, whether it goes."""
    dropped = np.zeros(len(pinned), bool)
    while True:
        needed = pinned.copy()
        used = [np.zeros(size, bool) for size in tape.sizes]
        for number in tape.outputs:
            used[number][:] = True
        for step in reversed(tape.steps):
            outputs = [used[n] & ~dropped[groups[n]] for n in step.outputs]
            if step.rule is None:
                found = [np.ones(tape.sizes[n], bool) for n in step.inputs]
            elif isinstance(step.rule, linear_rule.Linear):
                found = [step.rule.used(outputs)] * len(step.inputs)
                values = [constants[n] for n in step.inputs]
                stays = step.rule.needed(values, outputs)
                for number in step.inputs:
                    needed[groups[number][stays]] = True
            else:
                sizes = [tape.sizes[n] for n in step.inputs]
                found = step.rule.used(outputs, sizes)
            for number, mask in zip(step.inputs, found, strict=True):
                used[number] |= mask
        if np.array_equal(dropped, ~needed):
            return dropped
        dropped = ~needed


# The new model


def _rebuild(level, tape, plan):
    """The model of a level with the channels that stay."""
    steps = {id(step.layer): step for step in reversed(tape.steps)}
    new, weights = {}, {}
    for name, layer in level.graph.layers.items():
        if name in level.graph.inputs:
            new[name] = _input_like(layer, _kept_inputs(level, plan, name))
        elif name in level.nested:
            new[name] = _rebuild(level.nested[name], tape, plan)
        elif name in level.folded.gone:
            new[name] = _identity
        elif kinds.is_operation(layer):
            new[name] = layer
        else:
            values = level.folded.values.get(name)
            config, weights[name] = _resized(layer, values, steps[id(layer)], plan)
            new[name] = type(layer).from_config(config)
    model = graph.rebuild(level.graph, new, level.folded.name)
    for name, values in weights.items():
        if values is None:
            sparsity.copy_variables(level.graph.layers[name], new[name])
        else:
            for variable, value in zip(new[name].weights, values, strict=True):
                variable.assign(value)
    return model


def _identity(inputs, mask=None):
    return inputs


def _kept_inputs(level, plan, name):
    """Number of channels of a nested model's input, `None` as it was."""
    if level.first_inputs is None:
        return None
    keep = plan.keep[level.first_inputs[level.graph.inputs.index(name)]]
    return int(keep.sum()) if keep.size else None


def _input_like(layer, size=None):
    shape = layer.batch_shape if size is None else (*layer.batch_shape[:-1], size)
    return keras.Input(batch_shape=shape, dtype=layer.dtype, name=layer.name)


def _resized(layer, values, step, plan):
    """Configuration and weights of a layer without the channels that go.

    Weights are `None` where they stay as they are.
    """
    if values is not None:
        if step.rule is not None:
            values = _resized_values(layer, values, step, plan)
        config = calling.plain_config(layer, bool(values.bias))
        if step.rule is not None and kinds.is_grouped(layer):
            inputs = plan.keep[step.inputs[0]].sum()
            config["groups"] = int(inputs) // values.kernel[0].shape[-2]
        if "units" in config:
            config["units"] = len(values.kernel[0].T)
        elif kinds.is_dense_einsum(layer):
            units = values.kernel[0].shape[-1]
            config["output_shape"] = (*config["output_shape"][:-1], units)
        elif "filters" in config:
            axis = -2 if kinds.is_transposed(layer) else -1
            config["filters"] = values.kernel[0].shape[axis]
        return config, [*values.kernel, *values.bias]
    config = layer.get_config()
    if step.rule is None:
        return config, None
    keep = plan.keep[step.outputs[0]]
    for one in (config, config.get("layer", {}).get("config", {})):  # or PerPart's
        if "target_shape" in one:
            one["target_shape"] = (*one["target_shape"][:-1], int(keep.sum()))
    weights = [kops.convert_to_numpy(variable) for variable in layer.weights]
    return config, [
        part[..., keep] if part.ndim and part.shape[-1] == keep.size else part
        for part in weights
    ]


def _resized_values(layer, values, step, plan):
    keep_in, keep_out = plan.keep[step.inputs[0]], plan.keep[step.outputs[0]]
    bias = values.bias
    if kinds.is_depthwise(layer):
        kernel = [part[..., keep_in, :] for part in values.kernel]
    elif kinds.is_grouped(layer):
        kernel = [part[..., keep_out] for part in values.kernel]
    else:
        constants = [plan.constants[number] for number in step.inputs]
        is_known = np.logical_and.reduce([~np.isnan(part) for part in constants])
        shift = step.rule.shift(np.flatnonzero(is_known & ~keep_in), constants)
        if any(part.any() for part in shift):
            old = bias or [0.0] * len(shift)
            bias = [a + b for a, b in zip(old, shift, strict=True)]
        inputs, outputs = (-1, -2) if kinds.is_transposed(layer) else (-2, -1)
        kernel = [
            part.compress(keep_in, axis=inputs).compress(keep_out, axis=outputs)
            for part in values.kernel
        ]
    return calling.Values(kernel, [part[keep_out] for part in bias])
