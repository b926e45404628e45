"""Edges between complex tensors and pairs, and `PerPart`."""

import keras
from keras import ops as kops

from cvzoo import ops

TO_LAYOUTS = ("real", "trailing", "concatenated", "interleaved")
FROM_LAYOUTS = ("real", "modulus", "phase", "concatenated", "trailing")


class PairLayer(keras.layers.Layer):
    """Base of layers whose input is a pair `(real, imag)`; checks that it is one."""

    def __call__(self, inputs, *args, **kwargs):
        pair = ops.check_pair(inputs, f"{type(self).__name__} '{self.name}'")
        return super().__call__(pair, *args, **kwargs)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask


def add_pair(layer, name, shape, initializer, trainable=True, regularizer=None):
    """Two real variables of a layer, `<name>_real` and `<name>_imag`."""

    def part(position):
        return lambda shape, dtype: initializer(shape, dtype)[position]

    return [
        layer.add_weight(
            name=f"{name}_{suffix}",
            shape=shape,
            initializer=part(position),
            trainable=trainable,
            regularizer=regularizer,
            autocast=False,
        )
        for position, suffix in enumerate(("real", "imag"))
    ]


@keras.saving.register_keras_serializable("cvzoo")
class ToComplex(keras.layers.Layer):
    """Opens one tensor into a pair `(real, imag)`.

    Args:
        layout: How complex numbers lie in a real tensor; it is never guessed.
            `None` for a complex64 tensor; `"real"`: the imaginary part is 0;
            `"trailing"`: last axis of size 2; `"concatenated"`: first half of the
            last axis real, second half imaginary; `"interleaved"`: the last axis
            runs re₀, im₀, re₁, im₁, ….
        mask_value: Where all of a step's numbers equal this, the step is masked.

    Call arguments:
        inputs: complex64 `(batch, ..., n)` with `layout=None`; real otherwise:
            `(batch, ..., n)`, `(batch, ..., n, 2)` or `(batch, ..., 2n)`.

    Returns:
        Pair, each part `(batch, ..., n)`.
    """

    def __init__(self, layout=None, mask_value=None, **kwargs):
        super().__init__(**kwargs)
        if layout is not None and layout not in TO_LAYOUTS:
            raise ValueError(
                f"`layout` must be None (for complex64) or one of {TO_LAYOUTS}. "
                f"Received: layout={layout!r}"
            )
        self.layout = layout
        self.mask_value = mask_value
        self.supports_masking = True

    def __call__(self, inputs, *args, **kwargs):
        if isinstance(inputs, (tuple, list)):
            raise ValueError(
                f"ToComplex '{self.name}' opens one tensor. Received a "
                f"{type(inputs).__name__} of {len(inputs)}; a pair needs no opening."
            )
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs):
        is_complex = ops.is_complex(inputs)
        if is_complex != (self.layout is None):
            raise ValueError(
                f"ToComplex '{self.name}' has layout={self.layout!r} and received "
                f"dtype {keras.backend.standardize_dtype(inputs.dtype)}. Complex "
                "input takes `layout=None`; real input needs one of "
                f"{TO_LAYOUTS}."
            )
        if is_complex:
            pair = kops.real(inputs), kops.imag(inputs)
            return tuple(kops.cast(part, self.compute_dtype) for part in pair)
        if self.layout == "real":
            return inputs, kops.zeros_like(inputs)
        self._check_last_axis(inputs.shape)
        if self.layout == "trailing":
            return inputs[..., 0], inputs[..., 1]
        if self.layout == "interleaved":
            return inputs[..., 0::2], inputs[..., 1::2]
        half = inputs.shape[-1] // 2
        return inputs[..., :half], inputs[..., half:]

    def compute_mask(self, inputs, previous_mask):
        mask = previous_mask
        if self.mask_value is not None:
            differs = kops.not_equal(inputs, self.mask_value)
            axes = (-2, -1) if self.layout == "trailing" else -1
            mask = kops.any(differs, axis=axes)
        return None if mask is None else (mask, mask)

    def compute_output_shape(self, input_shape):
        *leading, last = input_shape
        if self.layout == "trailing":
            self._check_last_axis(input_shape)
            part = tuple(leading)
        elif self.layout in ("concatenated", "interleaved"):
            self._check_last_axis(input_shape)
            part = (*leading, last // 2)
        else:
            part = tuple(input_shape)
        return part, part

    def _check_last_axis(self, shape):
        last = shape[-1] if len(shape) > 1 else None  # the first axis is the batch
        wrong = last != 2 if self.layout == "trailing" else last is None or last % 2
        if wrong:
            needed = "2" if self.layout == "trailing" else "even"
            raise ValueError(
                f"ToComplex '{self.name}' with layout={self.layout!r} needs a last "
                f"axis of size {needed}. Received shape {tuple(shape)}"
            )

    def get_config(self):
        config = super().get_config()
        config.update(layout=self.layout, mask_value=self.mask_value)
        return config


@keras.saving.register_keras_serializable("cvzoo")
class FromComplex(PairLayer):
    """Closes a pair into one real tensor.

    Args:
        layout: `"real"`, `"modulus"`, `"phase"` (radians in (−π, π]),
            `"concatenated"` (real then imaginary along the last axis) or
            `"trailing"` (a new last axis of size 2).

    Call arguments:
        inputs: Pair, each part `(batch, ..., n)`.

    Returns:
        Real tensor `(batch, ..., n)`, `(batch, ..., 2n)` or `(batch, ..., n, 2)`.
    """

    def __init__(self, layout="real", **kwargs):
        super().__init__(**kwargs)
        if layout not in FROM_LAYOUTS:
            raise ValueError(
                f"`layout` must be one of {FROM_LAYOUTS}. Received: layout={layout!r}"
            )
        self.layout = layout
        self.supports_masking = True

    def call(self, inputs, training=None):
        real, imag = inputs
        if self.layout == "modulus":
            return ops.modulus(inputs)
        if self.layout == "phase":
            return ops.phase(inputs)
        if self.layout == "concatenated":
            return kops.concatenate([real, imag], axis=-1)
        if self.layout == "trailing":
            return kops.stack([real, imag], axis=-1)
        # A gradient of zero, where there would be none: Keras warns at each fit of
        # weights without a gradient, and those of the imaginary part are counted.
        return real + 0.0 * imag if training else real

    def compute_mask(self, inputs, previous_mask):
        return previous_mask[0] if isinstance(previous_mask, tuple) else previous_mask

    def compute_output_shape(self, input_shape):
        part, _ = input_shape
        if self.layout == "concatenated":
            return *part[:-1], None if part[-1] is None else 2 * part[-1]
        return (*part, 2) if self.layout == "trailing" else tuple(part)

    def get_config(self):
        config = super().get_config()
        config["layout"] = self.layout
        return config


@keras.saving.register_keras_serializable("cvzoo")
class PerPart(keras.layers.Layer):
    """Applies a stock layer without weights to the real and to the imaginary part.

    `PerPart(keras.layers.ReLU())` is the split ReLU. Called on a list of pairs, the
    layer sees the list of real parts, then the list of imaginary parts.

    Args:
        layer: A Keras layer that has neither weights nor random state: those would
            be shared, or drawn apart, between the parts.

    Call arguments:
        inputs: Pair, or list of pairs.

    Returns:
        Pair.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        if isinstance(layer, dict):
            layer = keras.saving.deserialize_keras_object(layer)
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                f"`layer` must be a Keras layer. Received: layer={layer!r}"
            )
        self.layer = layer
        self.supports_masking = True

    def __call__(self, inputs, *args, **kwargs):
        receiver = f"PerPart '{self.name}'"
        if isinstance(inputs, list) and any(
            isinstance(x, (tuple, list)) for x in inputs
        ):
            inputs = [ops.check_pair(pair, receiver) for pair in inputs]
        else:
            inputs = ops.check_pair(inputs, receiver)
        return super().__call__(inputs, *args, **kwargs)

    def build(self, input_shape):
        real_shapes, _ = _shape_parts(input_shape)
        if not self.layer.built:
            self.layer.build(real_shapes)
            self.layer.built = True
        if self.layer.variables:
            names = ", ".join(variable.path for variable in self.layer.variables)
            raise ValueError(
                f"PerPart takes layers without weights or random state. "
                f"'{self.layer.name}' has: {names}. Use a complex layer instead."
            )
        self.built = True

    def call(self, inputs):
        real, imag = _parts(inputs)
        return self.layer(real), self.layer(imag)

    def compute_mask(self, inputs, previous_mask):
        if previous_mask is None or all(
            mask is None for mask in keras.tree.flatten(previous_mask)
        ):
            return None
        real, _ = _parts(inputs)
        mask = self.layer.compute_mask(real, _parts(previous_mask)[0])
        return None if mask is None else (mask, mask)

    def compute_output_shape(self, input_shape):
        real_shapes, imag_shapes = _shape_parts(input_shape)
        return (
            self.layer.compute_output_shape(real_shapes),
            self.layer.compute_output_shape(imag_shapes),
        )

    def get_config(self):
        config = super().get_config()
        config["layer"] = keras.saving.serialize_keras_object(self.layer)
        return config


def _parts(pairs):
    """Pair → its parts; list of pairs → list of real parts, list of imaginary parts."""
    if isinstance(pairs, list):
        return [real for real, _ in pairs], [imag for _, imag in pairs]
    return pairs


def _shape_parts(shapes):
    """The same for shapes, which a saved model gives as nested lists throughout."""
    is_one_pair = not isinstance(shapes[0][0], (tuple, list))
    pairs = [shapes] if is_one_pair else shapes
    real, imag = ([tuple(pair[i]) for pair in pairs] for i in (0, 1))
    return (real[0], imag[0]) if is_one_pair else (real, imag)
