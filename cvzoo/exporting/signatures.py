"""What an export offers: inputs and outputs by name, and names of classes."""

import re

import keras
import numpy as np

from cvzoo.exporting.errors import ExportError

DEFAULT = "serving_default"
LABELS = "labels.txt"
# Ways in which the two parts of a complex input are given as one.
COMPLEX_INPUTS = (None, "complex64", "last_axis")
_REAL, _IMAG = "_real", "_imag"
TOP = 5
OUTPUTS = ("one class", "each class", "values")
# How Keras calls inputs that were given no name.
_AUTOMATIC = re.compile(r"(keras_tensor|input_layer)(_\d+)?")
# Sizes that a model and its examples leave open, in what is run for a try.
UNKNOWN = 32


class Served:
    """A model's inputs and outputs as they are served.

    Args:
        model: A Functional model.
        classes, outputs, logits, complex_inputs, examples: Those of `export`.

    Attributes:
        inputs: Name → `(shape, dtype)`.
        outputs: Names, in the order of the model's outputs.
        kind: What scores are, one of `OUTPUTS`.
        examples: The examples as they are served, name → array, or `None`.
    """

    def __init__(
        self,
        model,
        classes=None,
        outputs=None,
        logits=None,
        complex_inputs=None,
        examples=None,
    ):
        self.classes = [] if classes is None else [str(one) for one in classes]
        self.kind = outputs or ("one class" if self.classes else "values")
        self.logits = not _gives_probabilities(model) if logits is None else logits
        if self.kind not in OUTPUTS:
            raise ValueError(
                f"`outputs` must be one of {OUTPUTS}. Received: {outputs!r}"
            )
        if any(one.splitlines() != [one] for one in self.classes):
            raise ValueError(
                "Names of classes are kept in lines, so they must be one each. "
                f"Received: {self.classes!r:.200}"
            )
        if complex_inputs not in COMPLEX_INPUTS:
            raise ValueError(
                f"`complex_inputs` must be one of {COMPLEX_INPUTS}. Received: "
                f"{complex_inputs!r}"
            )
        self.outputs = _output_names(model)
        self._complex = complex_inputs
        self._given_names = [tensor.name for tensor in model.inputs]
        self._ranks = [len(tensor.shape) for tensor in model.inputs]
        # For each served input, the places of the model's that it stands for.
        self._places = (
            _joined(model, complex_inputs) if complex_inputs else _single(model)
        )
        self.inputs = {
            name: self._spec(model, places) for name, places in self._places.items()
        }
        self._check(model)
        self.examples = None if examples is None else self._examples(model, examples)

    def _examples(self, model, given):
        """Examples as they are served, by name."""
        if isinstance(given, dict) and set(given) == set(self._given_names):
            flat = [given[name] for name in self._given_names]
        elif len(model.inputs) > 1 or isinstance(given, (list, tuple, dict)):
            flat = keras.tree.flatten(given)
        else:
            flat = [given]
        if len(flat) != len(model.inputs):
            raise ValueError(
                "`examples` must have an array for each input. Received: "
                f"{len(flat)} for {len(model.inputs)}"
            )
        typed = [
            np.asarray(one, tensor.dtype)
            for one, tensor in zip(flat, model.inputs, strict=True)
        ]
        shapes = [one.shape for one in typed]
        expected = [tuple(tensor.shape) for tensor in model.inputs]
        if not all(map(_fits, shapes, expected)) or len({s[0] for s in shapes}) > 1:
            raise ValueError(
                f"`examples` must be a batch of what the model takes, {expected}. "
                f"Received: shapes {shapes}"
            )
        return self.named(typed)

    def _spec(self, model, places):
        tensor = model.inputs[places[0]]
        if tensor.shape[0] is not None:
            raise ExportError(
                f"Input '{tensor.name}' has batches of {tensor.shape[0]}. An export "
                "serves batches of any size: make the model with `keras.Input(shape)`."
            )
        if len({tuple(model.inputs[place].shape) for place in places}) > 1:
            raise ExportError(
                f"The parts of input '{tensor.name.removesuffix(_REAL)}' differ in "
                "shape."
            )
        shape, dtype = tuple(tensor.shape), str(tensor.dtype)
        if dtype == "string":
            raise ExportError(
                f"Input '{tensor.name}' is of strings. Exports take numbers: look "
                "words up before."
            )
        if self._is_last_axis(places, dtype):
            return (*shape, 2), "float32" if dtype == "complex64" else dtype
        return shape, dtype if len(places) == 1 else "complex64"

    def _is_last_axis(self, places, dtype):
        """Whether the parts of an input are served along an axis of their own."""
        is_complex = len(places) == 2 or dtype == "complex64"
        return is_complex and self._complex == "last_axis"

    def _check(self, model):
        names = list(self.inputs)
        unique = len(set(self.outputs)) == len(self.outputs)
        are_words = all(name.isidentifier() and name != "self" for name in names)
        if not unique or not are_words:
            raise ExportError(
                "Inputs and outputs are served under their names: input names must be "
                "identifiers other than `self`, and each output needs a layer of its "
                "own, or a key where outputs are a dictionary. Received inputs "
                f"{names}, outputs {self.outputs}."
            )
        if self.classes and self.kind != "values":
            shapes = [tuple(one.shape) for one in model.outputs]
            if len(shapes) != 1 or shapes[0][-1] != len(self.classes):
                raise ExportError(
                    f"{len(self.classes)} classes need one output of as many scores; "
                    "a single probability is of one class, with `outputs='each class'`."
                    f" Received: outputs of {shapes}"
                )

    @property
    def labelled(self):
        """Name of the signature that says names of classes, or `None`."""
        if not self.classes:
            return None
        return {"one class": "classify", "each class": "transcribe"}.get(self.kind)

    def flat(self, given):
        """The model's inputs, in order, from those that are served, by name."""
        import tensorflow as tf

        found = {}
        for name, places in self._places.items():
            # Convolutions take other sizes, or end the process, without a word.
            value = tf.ensure_shape(given[name], self.inputs[name][0])
            is_last_axis = len(value.shape) > self._ranks[places[0]]
            if is_last_axis:
                parts = [value[..., 0], value[..., 1]]
                if len(places) == 1:
                    parts = [tf.complex(*parts)]
            elif len(places) == 1:
                parts = [value]
            else:
                parts = [tf.math.real(value), tf.math.imag(value)]
            found |= dict(zip(places, parts, strict=True))
        return [found[place] for place in sorted(found)]

    def shapes(self, batch_size):
        """Name → shape and type of a batch; open sizes are the examples'."""
        found = {}
        for name, (shape, dtype) in self.inputs.items():
            sizes = shape[1:]
            if self.examples is not None:
                sizes = self.examples[name].shape[1:]
            sizes = tuple(UNKNOWN if size is None else size for size in sizes)
            found[name] = (batch_size, *sizes), dtype
        return found

    def random(self, batch_size, generator):
        """Random inputs by name: normal ones, some of them 0; integers as examples'."""
        found = {}
        for name, (shape, dtype) in self.shapes(batch_size).items():
            if "float" in dtype or "complex" in dtype:
                values = generator.normal(size=shape)
                if "complex" in dtype:
                    values = values + 1j * generator.normal(size=shape)
                values = values * (generator.random(shape) > 0.1)
            else:
                examples = [0, 1] if self.examples is None else self.examples[name]
                values = generator.integers(
                    np.min(examples), int(np.max(examples)) + 1, size=shape
                )
            found[name] = values.astype(dtype)
        return found

    def named(self, flat):
        """The inverse: served inputs by name, as numpy arrays."""
        found = {}
        for name, places in self._places.items():
            parts = [np.asarray(flat[place]) for place in places]
            one = parts[0]
            if len(parts) == 2:
                one = (parts[0] + 1j * parts[1]).astype(np.complex64)
            if self._is_last_axis(places, str(one.dtype)):
                one = np.stack([one.real, one.imag], axis=-1)
            found[name] = one
        return found

    @property
    def labels(self):
        """The file of labels: a line for each class."""
        return "".join(f"{one}\n" for one in self.classes)

    @property
    def specs(self):
        """Name → `tf.TensorSpec` of each input."""
        import tensorflow as tf

        return {
            name: tf.TensorSpec(shape, dtype, name)
            for name, (shape, dtype) in self.inputs.items()
        }

    def scores(self, infer):
        """Concrete function of inputs by name that gives scores by name.

        Args:
            infer: Function of the model's inputs, a list, that returns its outputs.
        """
        import tensorflow as tf

        @tf.function(autograph=False)
        def serve(**inputs):
            return dict(zip(self.outputs, infer(self.flat(inputs)), strict=True))

        return serve.get_concrete_function(**self.specs)

    def signatures(self, infer, scratch):
        """Concrete functions by name, and what they need to be kept.

        Args:
            infer: Function of the model's inputs, a list, that returns its outputs.
            scratch: Folder for the file of labels, until the SavedModel is written.
        """
        import tensorflow as tf

        concrete = self.scores(infer)
        found, kept = {DEFAULT: concrete}, tf.Module()
        file = scratch / LABELS
        if self.classes:
            file.write_text(self.labels, encoding="utf-8")
            kept.file = tf.saved_model.Asset(str(file))
        if self.labelled:
            kept.labels = _table(str(file))
            told = self._named if self.kind == "one class" else self._sounding

            @tf.function(autograph=False)
            def labelled(**inputs):
                (scores,) = concrete(**inputs).values()
                return told(scores, kept.labels)

            found[self.labelled] = labelled.get_concrete_function(**self.specs)
        return kept, found

    def _named(self, scores, labels):
        """The likeliest classes, likeliest first."""
        import tensorflow as tf

        probable = tf.nn.softmax(scores) if self.logits else scores
        values, places = tf.math.top_k(probable, min(TOP, len(self.classes)))
        names = labels.lookup(tf.cast(places, tf.int64))
        return {"classes": names, "probabilities": values}

    def _sounding(self, scores, labels):
        """All classes with their probabilities, for each example."""
        import tensorflow as tf

        probable = tf.sigmoid(scores) if self.logits else scores
        names = labels.lookup(tf.range(len(self.classes), dtype=tf.int64))
        # So that every output has an example's axis first, as servers ask for.
        names = tf.broadcast_to(names, tf.shape(probable))
        return {"classes": names, "probabilities": probable}


def _single(model):
    return {name: [place] for place, name in enumerate(_input_names(model))}


def _joined(model, form):
    """Served name → places; the two parts of a complex input are one."""
    names = _input_names(model)
    found = {}
    for place, name in enumerate(names):
        stem = name.removesuffix(_REAL)
        if name.endswith(_REAL) and stem + _IMAG in names:
            found[stem] = [place, names.index(stem + _IMAG)]
        elif not (name.endswith(_IMAG) and name.removesuffix(_IMAG) + _REAL in names):
            found[name] = [place]
    is_complex = any(tensor.dtype == "complex64" for tensor in model.inputs)
    is_joined = any(len(places) == 2 for places in found.values())
    if not is_joined and not (is_complex and form == "last_axis"):
        raise ValueError(
            "`complex_inputs` joins inputs called NAME_real and NAME_imag, and "
            f"'last_axis' takes complex64 apart. Received inputs: {names}"
        )
    if sum(map(len, found.values())) < len(names):
        raise ValueError(
            f"`complex_inputs` would give two inputs one name. Received inputs: {names}"
        )
    return found


def _input_names(model):
    """Names of the inputs; of those without one, what they are."""
    names = [tensor.name for tensor in model.inputs]
    if not any(map(_AUTOMATIC.fullmatch, names)):
        return names
    if len(names) == 1:
        return ["inputs"]
    return [
        f"inputs_{place}" if _AUTOMATIC.fullmatch(name) else name
        for place, name in enumerate(names)
    ]


def _output_names(model):
    """Keys of a dictionary of outputs; else the names of their layers."""
    if isinstance(model.output, dict):
        return [
            "_".join(map(str, path))
            for path, _ in keras.tree.flatten_with_path(model.output)
        ]
    return model.output_names


def _gives_probabilities(model):
    """Whether the last operation is a softmax or a sigmoid."""
    layer = model.outputs[0]._keras_history.operation
    activation = getattr(layer, "activation", None)
    named = getattr(activation, "__name__", type(layer).__name__).lower()
    return named in ("softmax", "sigmoid")


def _fits(shape, expected):
    return len(shape) == len(expected) and all(
        size in (None, found) for size, found in zip(expected, shape, strict=True)
    )


def _table(file):
    """Place → label, from a file with a label in each line."""
    import tensorflow as tf

    initializer = tf.lookup.TextFileInitializer(
        file,
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
    )
    return tf.lookup.StaticHashTable(initializer, "")


def expected(model, served, given):
    """The model's own outputs for served inputs, name → numpy array."""
    flat = served.flat(given)
    outputs = model(keras.tree.pack_sequence_as(model.input, flat), training=False)
    values = [
        keras.ops.convert_to_numpy(
            keras.ops.cast(one, "float32") if one.dtype == "bfloat16" else one
        )
        for one in keras.tree.flatten(outputs)
    ]
    return dict(zip(served.outputs, values, strict=True))
