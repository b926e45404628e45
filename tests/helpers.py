"""Checks that every layer and every model must pass, and what tests have in common."""

import keras
import numpy as np
from keras import ops as kops

import cvzoo
from cvzoo import sparsity

# As `save_preset` takes it.
COMPILE = {
    "loss": "sparse_categorical_crossentropy",
    "from_logits": True,
    "metrics": ["accuracy"],
    "learning_rate": 0.01,
    "global_clipnorm": 0.5,
}


def two_replicas():
    """The process's one strategy over two logical CPUs."""
    from training import distribution

    return distribution.mirrored(2)


def random_pair(*shape, seed=0):
    """A pair of float32 numpy arrays."""
    generator = np.random.default_rng(seed)
    return tuple(generator.normal(size=shape).astype(np.float32) for _ in range(2))


def as_complex(pair):
    """The numpy complex array of a pair."""
    real, imag = pair
    return np.asarray(real, np.float64) + 1j * np.asarray(imag, np.float64)


def arrays(structure):
    """The leaves of a structure as numpy arrays."""
    return [np.asarray(leaf) for leaf in keras.tree.flatten(structure)]


def gradients(function, *inputs):
    """Gradients of a scalar function with respect to each array, on any backend."""
    if keras.backend.backend() == "jax":
        import jax

        places = tuple(range(len(inputs)))
        found = jax.grad(function, argnums=places)(*map(jax.numpy.asarray, inputs))
        return arrays(found)
    import tensorflow as tf

    tensors = [tf.constant(one) for one in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    return arrays(tape.gradient(value, tensors, unconnected_gradients="zero"))


def jitted(function):
    """A function of arrays compiled by XLA, on any backend."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False)


def weight_gradients(layer, inputs, **arguments):
    """Gradients of Σ outputs² with respect to the weights of a layer or model.

    Returns:
        List of arrays, `None` where TensorFlow finds no path to a weight.
    """

    def total(outputs):
        leaves = keras.tree.flatten(outputs)
        return sum(kops.sum(kops.cast(leaf, "float32") ** 2) for leaf in leaves)

    variables = layer.trainable_variables
    if keras.backend.backend() == "jax":
        import jax

        def function(values):
            # Not `stateless_call`, which skips the cast of inputs by `__call__`.
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return total(layer(inputs, **arguments))

        differentiate = jax.jit(jax.grad(function))
        return arrays(differentiate([variable.value for variable in variables]))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = total(layer(inputs, **arguments))
    found = tape.gradient(value, [variable.value for variable in variables])
    return [one if one is None else np.asarray(one) for one in found]


def check_layer(make, inputs, folder):
    """What every layer does: shapes, gradients, configuration, files, half precision.

    Also `jit_compile`, and a SavedModel with the TensorFlow backend.

    Args:
        make: Function that makes the layer.
        inputs: numpy array, or structure of them, with a batch axis.
        folder: A temporary folder.
    """
    layer = make()
    eager = layer(tensors(inputs))
    shapes = keras.tree.map_structure(lambda array: array.shape, inputs)
    expected = layer.compute_output_shape(shapes)
    assert [leaf.shape for leaf in arrays(eager)] == _leaf_shapes(expected)

    symbolic_inputs = keras.tree.map_structure(
        lambda array: keras.Input(array.shape[1:], dtype=array.dtype), inputs
    )
    model = keras.Model(symbolic_inputs, layer(symbolic_inputs))
    for leaf, array in zip(
        keras.tree.flatten(model.output), arrays(eager), strict=True
    ):
        assert leaf.shape[1:] == array.shape[1:]

    for variable, gradient in zip(
        layer.trainable_variables,
        weight_gradients(model, inputs, training=True),
        strict=True,
    ):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path

    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()

    expected = arrays(model(inputs, training=False))
    _check_files(model, inputs, expected, folder)
    _check_compiled(model, inputs, expected)
    for policy in ("mixed_bfloat16", "mixed_float16"):
        _check_half_precision(make, inputs, policy)


def tensors(structure):
    """The leaves of a structure as tensors of the backend."""
    return keras.tree.map_structure(kops.convert_to_tensor, structure)


def _check_files(model, inputs, expected, folder):
    """`.keras`, `.weights.h5` and, with TensorFlow, a SavedModel give equal outputs."""
    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    _assert_close(loaded(inputs, training=False), expected)
    if model.weights:
        model.save_weights(folder / "model.weights.h5")
        copy = keras.models.clone_model(model)
        copy.load_weights(folder / "model.weights.h5")
        _assert_close(copy(inputs, training=False), expected)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def serve(*values):
            return model(_like(inputs, values), training=False)

        module = tf.Module()
        module.variables_ = [variable.value for variable in model.variables]
        leaves = keras.tree.flatten(inputs)
        signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in leaves]
        module.serve = tf.function(serve, input_signature=signature)
        tf.saved_model.save(module, str(folder / "served"))
        loaded = tf.saved_model.load(str(folder / "served"))
        _assert_close(loaded.serve(*leaves), expected)


def _check_compiled(model, inputs, expected):
    """XLA gives the same as running operation by operation."""
    model.compile(jit_compile=True)
    _assert_close(model.predict_on_batch(inputs), expected, atol=1e-4)


def _check_half_precision(make, inputs, policy):
    training = {"training": True} if _has_weights(make, inputs) else {}
    keras.config.set_dtype_policy(policy)
    try:
        layer = make()
    finally:
        keras.config.set_dtype_policy("float32")
    half = layer(tensors(inputs), **training)
    for leaf in keras.tree.flatten(half):
        compute_dtype = keras.DTypePolicy(policy).compute_dtype
        assert keras.backend.standardize_dtype(leaf.dtype) == compute_dtype
        assert np.isfinite(np.asarray(kops.cast(leaf, "float32"))).all()
    for gradient in weight_gradients(layer, tensors(inputs), **training):
        assert np.isfinite(np.asarray(gradient, np.float32)).all()


def _has_weights(make, inputs):
    """Whether the layer has weights to train."""
    layer = make()
    layer(tensors(inputs))
    return bool(layer.trainable_variables)


def _like(structure, leaves):
    return keras.tree.pack_sequence_as(structure, list(leaves))


def _assert_close(found, expected, atol=1e-6):
    for left, right in zip(arrays(found), expected, strict=True):
        np.testing.assert_allclose(left, right, atol=atol)


def check_model(model, folder):
    """What every model of the zoo does: gradients everywhere, files, presets."""
    inputs = _random_inputs(model)
    # First: it moves running statistics.
    for variable, gradient in zip(
        model.trainable_variables,
        weight_gradients(model, inputs, training=True),
        strict=True,
    ):
        assert gradient is not None, variable.path

    outputs = model.predict(inputs, verbose=0)
    assert outputs.shape == (3, *model.output_shape[1:])
    assert np.isfinite(outputs).all()

    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    np.testing.assert_allclose(loaded.predict(inputs, verbose=0), outputs, atol=1e-6)

    cvzoo.save_preset(model, folder / "preset")
    preset = cvzoo.from_preset(folder / "preset")
    np.testing.assert_allclose(preset.predict(inputs, verbose=0), outputs, atol=1e-6)


def _random_inputs(model):
    """An array for the input of a model, or a list for several."""
    generator = np.random.default_rng(0)
    arrays = []
    for tensor in model.inputs:
        shape = (3, *(size or 5 for size in tensor.shape[1:]))
        if "int" in tensor.dtype:
            high = 256 if tensor.dtype == "uint8" else 6
            arrays.append(generator.integers(high, size=shape).astype(tensor.dtype))
        else:
            arrays.append(generator.uniform(size=shape).astype(np.float32))
    return arrays if len(arrays) > 1 else arrays[0]


def small_model(hidden=12, classes=3, inputs=6):
    """A chain of two complex dense layers, with its input as one real tensor."""
    x = keras.Input((inputs, 2), name="signal")
    z = cvzoo.layers.ToComplex("trailing", name="open")(x)
    z = cvzoo.layers.ComplexDense(hidden, name="hidden")(z)
    z = cvzoo.layers.PerPart(keras.layers.ReLU(), name="relu")(z)
    z = cvzoo.layers.ComplexDense(classes, name="output")(z)
    return keras.Model(x, cvzoo.layers.FromComplex("real", name="logits")(z))


def with_kernels(model, **kernels):
    """The model, with other kernels in the layers of some names."""
    for name, kernel in kernels.items():
        for variable in sparsity.kernel_variables(model.get_layer(name)):
            variable.assign(kernel)
    return model


def assert_same_outputs(left, right):
    """Two models of one real input say the same on random numbers."""
    shape = (11, *left.input_shape[1:])
    inputs = np.random.default_rng(9).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(left(inputs), right(inputs), atol=1e-5)


def _leaf_shapes(shapes):
    """Shapes in a nested structure of tuples whose leaves are tuples of sizes."""
    if all(size is None or isinstance(size, int) for size in shapes):
        return [tuple(shapes)]
    return [leaf for shape in shapes for leaf in _leaf_shapes(shape)]


def inputs_of(model, examples=16):
    shape = (examples, *model.input_shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def sparse_model():
    def mask(layer):
        shape = sparsity.kernel_variables(layer)[0].shape
        return (np.random.default_rng(0).random(shape) < 0.3).astype(np.float32)

    return sparsity.with_masks(small_model(), mask)


def masked(model, density, seed):
    """The model with random masks, and biases that are not zero."""
    generator = np.random.default_rng(seed)
    for layer in sparsity.linear_layers(model):
        for variable in sparsity.bias_variables(layer):
            variable.assign(generator.normal(size=variable.shape))

    def mask(layer):
        shape = sparsity.kernel_variables(layer)[0].shape
        return (generator.random(shape) < density).astype(np.float32)

    return sparsity.with_masks(model, mask)
