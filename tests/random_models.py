"""Random small networks as plain lists of steps, to be run with disturbances."""

import keras
import numpy as np

from cvzoo import layers, sparsity

SIDE, CHANNELS = 7, 3


class Network:
    """A network as steps that can be built as a Keras model, or run one by one.

    Attributes:
        steps: `(name, layer, numbers of the inputs)`; step 0 is the input.
        tied: `(left, right, size of left, size of right)`: names of linear layers whose
            outputs are added up, with sizes of 1; or of which the right one has groups
            of channels of the left.
        logits: Number of the last linear layer's step.
    """

    def __init__(
        self,
        seed,
        field="real",
        activations=("relu", "tanh", "softplus"),
        is_any_size=False,
    ):
        """`is_any_size`: whether the model takes images of any size."""
        self.generator = np.random.default_rng(seed)
        self.field, self.activations = field, activations
        self.is_any_size = is_any_size
        self.steps, self.tied = [("input", None, [])], []
        self._shared_activations = {}
        self._build()

    # What a network is made of

    def _add(self, layer, *inputs):
        self.steps.append((layer.name, layer, list(inputs)))
        return len(self.steps) - 1

    def _choose(self, *options):
        return options[self.generator.integers(len(options))]

    def _name(self, kind):
        return f"{kind}_{len(self.steps)}"

    def _linear(self, kind, size, x, **arguments):
        prefix = "Complex" if self.field == "complex" else ""
        module = layers if self.field == "complex" else keras.layers
        layer = getattr(module, prefix + kind)(
            size,
            use_bias=bool(self.generator.integers(2)),
            name=self._name(kind.lower()),
            **arguments,
        )
        return self._add(layer, x)

    def _convolution(self, x, filters, padding=None, strides=None):
        return self._linear(
            "Conv2D",
            filters,
            x,
            kernel_size=int(self._choose(1, 2, 3)),
            padding=padding or self._choose("valid", "same"),
            strides=strides or int(self._choose(1, 1, 2)),
        )

    def _per_part(self, layer):
        is_pair = self.field == "complex"
        return layers.PerPart(layer, name=self._name("part")) if is_pair else layer

    def _pointwise(self, x):
        """Perhaps batch norm, then an activation."""
        if self.generator.random() < 0.5:
            norm = (
                layers.ComplexBatchNormalization
                if self.field == "complex"
                else keras.layers.BatchNormalization
            )
            x = self._add(norm(name=self._name("norm")), x)
        if self.field == "complex" and self.generator.random() < 0.5:
            return self._add(layers.Cardioid(name=self._name("cardioid")), x)
        activation = self._choose(*self.activations)
        layer = self._per_part(
            keras.layers.Activation(activation, name=self._name(activation))
        )
        if self.generator.random() < 0.3:  # one layer for several places
            layer = self._shared_activations.setdefault(activation, layer)
        return self._add(layer, x)

    def _depthwise(self, x):
        """A convolution, then a filter for each of its channels."""
        filters = int(self.generator.integers(3, 7))
        x = before = self._convolution(x, filters, padding="same", strides=1)
        if self.generator.random() < 0.5:
            x = self._pointwise(x)
        size, padding = self._choose((1, "valid"), (2, "valid"), (3, "same"))
        x = self._linear("DepthwiseConv2D", size, x, padding=padding)
        self._tie(before, x)
        return x

    def _grouped(self, x):
        """A convolution, then one in two or three groups."""
        groups, into, out_of = (int(self._choose(2, 3)) for _ in range(3))
        before = self._convolution(x, groups * into, padding="same", strides=1)
        x = self._pointwise(before)
        size, padding = self._choose((1, "valid"), (2, "valid"), (3, "same"))
        x = self._linear(
            *("Conv2D", groups * out_of, x),
            kernel_size=size,
            padding=padding,
            groups=groups,
        )
        self._tie(before, x, into, out_of)
        return x

    def _tie(self, left, right, into=1, out_of=1):
        names = self.steps[left][0], self.steps[right][0]
        self.tied.append((*names, into, out_of))

    def _residual(self, x):
        """Two branches, added."""
        filters = int(self.generator.integers(3, 7))
        branches = [
            self._convolution(x, filters, padding="same", strides=1) for _ in range(2)
        ]
        self._tie(*branches)
        if self.generator.random() < 0.5:
            branches = [self._pointwise(at) for at in branches]
        add = layers.ComplexAdd if self.field == "complex" else keras.layers.Add
        return self._add(add(name=self._name("add")), *branches)

    def _concatenated(self, x):
        branches = [
            self._pointwise(self._convolution(x, int(size), padding="same", strides=1))
            for size in self.generator.integers(2, 5, size=2)
        ]
        concatenate = (
            layers.ComplexConcatenate
            if self.field == "complex"
            else keras.layers.Concatenate
        )
        return self._add(concatenate(name=self._name("concat")), *branches)

    def _shared(self, x):
        """One layer on two branches of equal size."""
        filters = int(self.generator.integers(3, 6))
        branches = [
            self._convolution(x, filters, padding="same", strides=1) for _ in range(2)
        ]
        self._tie(*branches)
        first = self._convolution(branches[0], 4, padding="same", strides=1)
        second = self._add(self.steps[first][1], branches[1])
        add = layers.ComplexAdd if self.field == "complex" else keras.layers.Add
        return self._add(add(name=self._name("add")), first, second)

    def _pool(self, x):
        if self.field == "complex":
            layer = self._choose(
                layers.ComplexMaxPooling2D, layers.ComplexAveragePooling2D
            )
        else:
            layer = self._choose(
                keras.layers.MaxPooling2D, keras.layers.AveragePooling2D
            )
        return self._add(layer(2, padding="same", name=self._name("pool")), x)

    def _build(self):
        x = 0
        if self.field == "complex":
            x = self._add(layers.ToComplex("concatenated", name="open"), x)
        x = self._pointwise(self._convolution(x, int(self.generator.integers(3, 7))))
        for _ in range(self.generator.integers(1, 3)):
            block = self._choose(
                *(self._residual, self._concatenated, self._shared),
                *(self._depthwise, self._grouped),
            )
            x = block(x)
            x = self._pointwise(x)
        if self.generator.random() < 0.5:
            x = self._pool(x)
        x = self._add(self._per_part(self._flat()), x)
        x = self._pointwise(
            self._linear("Dense", int(self.generator.integers(4, 9)), x)
        )
        self.logits = x = self._linear("Dense", 2, x)
        if self.field == "complex":
            x = self._add(layers.FromComplex("real", name="close"), x)
        if self.generator.random() < 0.3:
            self._add(keras.layers.Softmax(name="softmax"), x)

    def _flat(self):
        if self.is_any_size or self.generator.random() < 0.2:
            return keras.layers.GlobalAveragePooling2D(name=self._name("mean"))
        return keras.layers.Flatten(name=self._name("flatten"))

    # What is done with it

    @property
    def input_shape(self):
        return SIDE, SIDE, 2 * CHANNELS if self.field == "complex" else CHANNELS

    def model(self):
        """The Keras model, with random biases and moving statistics."""
        *sides, size = self.input_shape
        sides = [None] * len(sides) if self.is_any_size else sides
        found = [keras.Input((*sides, size))]
        for _, layer, inputs in self.steps[1:]:
            read = [found[at] for at in inputs]
            found.append(layer(read[0] if len(read) == 1 else read))
        model = keras.Model(found[0], found[-1])
        for layer in model.layers:
            for variable in layer.weights:
                low, high = (-1, 1) if "kernel" in variable.name else (0.3, 1.5)
                variable.assign(self.generator.uniform(low, high, variable.shape))
        for layer in model.layers:  # as a covariance is
            if isinstance(layer, layers.ComplexBatchNormalization):
                shape = layer.moving_covariance.shape[1:]
                one = np.ones(shape)
                layer.moving_covariance.assign(np.stack([one, 0.2 * one, 0.7 * one]))
        return model

    def pruned(self):
        """The model with random masks: single weights, whole rows, whole columns."""
        generator = self.generator

        def mask(layer):
            shape = sparsity.kernel_variables(layer)[0].shape
            kept = generator.random(shape) < generator.uniform(0.1, 1)
            if shape[-1] > 1:  # a depthwise convolution has but one column
                kept &= generator.random(shape[-1]) < generator.uniform(0.4, 1)
            kept &= (generator.random(shape[-2]) < generator.uniform(0.4, 1))[:, None]
            return kept.astype(np.float32)

        return sparsity.with_masks(self.model(), mask)

    def run(self, model, inputs, disturb, frozen=None):
        """Runs the steps on the layers of a model.

        Args:
            model: A model of this network.
            inputs: Array.
            disturb: Function of a layer's name and its output parts, gives parts.
            frozen: Outputs of an earlier run that linear layers give in place of
                their own, before `disturb`.

        Returns:
            The parts of the output of each step.
        """
        found = [[inputs]]
        for number, (name, _, read) in enumerate(self.steps[1:], 1):
            parts = [found[at] for at in read]
            parts = [x[0] if len(x) == 1 else tuple(x) for x in parts]
            layer = model.get_layer(name)
            if frozen is not None and sparsity.is_linear(layer):
                outputs = frozen[number]
            else:
                outputs = layer(parts[0] if len(parts) == 1 else parts)
            outputs = [np.array(part) for part in keras.tree.flatten(outputs)]
            found.append(disturb(name, outputs))
        return found
