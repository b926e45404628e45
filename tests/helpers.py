"""Checks that every layer and every model must pass."""

import keras
import numpy as np
import tensorflow as tf

import cvzoo


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


def check_layer(make, inputs, folder):
    """What every layer does: shapes, gradients, configuration, files, half precision.

    Args:
        make: Function that makes the layer.
        inputs: numpy array, or structure of them, with a batch axis.
        folder: A temporary folder.
    """
    layer = make()
    eager = layer(keras.tree.map_structure(tf.constant, inputs))
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

    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = sum(tf.reduce_sum(leaf**2) for leaf in keras.tree.flatten(outputs))
    variables = layer.trainable_variables
    values = [variable.value for variable in variables]
    for variable, gradient in zip(variables, tape.gradient(loss, values), strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(np.asarray(gradient)).all(), variable.path

    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()

    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    for left, right in zip(arrays(model(inputs)), arrays(loaded(inputs)), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)

    training = {"training": True} if layer.trainable_variables else {}
    for policy in ("mixed_bfloat16", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        try:
            layer = make()
        finally:
            keras.config.set_dtype_policy("float32")
        with tf.GradientTape() as tape:
            half = layer(keras.tree.map_structure(tf.constant, inputs), **training)
            leaves = keras.tree.flatten(half)
            loss = sum(tf.reduce_sum(tf.cast(leaf, "float32")) for leaf in leaves)
        values = [variable.value for variable in layer.trainable_variables]
        for leaf in leaves:
            assert leaf.dtype == keras.DTypePolicy(policy).compute_dtype
        for value in (*leaves, *tape.gradient(loss, values)):
            assert np.isfinite(np.asarray(value, np.float32)).all()


def check_model(model, folder):
    """What every model of the zoo does: gradients everywhere, files, presets."""
    generator = np.random.default_rng(0)
    shape = (3, *model.input_shape[1:])
    inputs = generator.uniform(size=shape).astype(np.float32)
    outputs = model.predict(inputs, verbose=0)
    assert outputs.shape == (3, *model.output_shape[1:])
    assert np.isfinite(outputs).all()

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(inputs, training=True) ** 2)
    values = [variable.value for variable in model.trainable_variables]
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, values), strict=True
    ):
        assert gradient is not None, variable.path

    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    np.testing.assert_allclose(loaded.predict(inputs, verbose=0), outputs, atol=1e-6)

    cvzoo.save_preset(model, folder / "preset")
    preset = cvzoo.from_preset(folder / "preset")
    np.testing.assert_allclose(preset.predict(inputs, verbose=0), outputs, atol=1e-6)


def small_model(hidden=12, classes=3, inputs=6):
    """A chain of two complex dense layers, with its input as one real tensor."""
    x = keras.Input((inputs, 2), name="signal")
    z = cvzoo.layers.ToComplex("trailing", name="open")(x)
    z = cvzoo.layers.ComplexDense(hidden, name="hidden")(z)
    z = cvzoo.layers.PerPart(keras.layers.ReLU(), name="relu")(z)
    z = cvzoo.layers.ComplexDense(classes, name="output")(z)
    return keras.Model(x, cvzoo.layers.FromComplex("real", name="logits")(z))


def _leaf_shapes(shapes):
    """Shapes in a nested structure of tuples whose leaves are tuples of sizes."""
    if all(size is None or isinstance(size, int) for size in shapes):
        return [tuple(shapes)]
    return [leaf for shape in shapes for leaf in _leaf_shapes(shape)]
