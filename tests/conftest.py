"""Settings of all tests: fixed seeds, two devices, hypothesis without deadlines."""

import shutil

import hypothesis
import keras
import pytest

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    # Two devices, for `tf.distribute`; only possible before the first operation.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
elif keras.backend.backend() == "jax":
    import jax

    # Most of the time goes into compiling small functions that run once.
    jax.config.update("jax_disable_most_optimizations", True)

# The first example of a test builds graphs, so times vary; seeds do not.
hypothesis.settings.register_profile(
    "cvzoo",
    deadline=None,
    derandomize=True,
    # JAX compiles each operation anew for each shape.
    max_examples=15 if keras.backend.backend() == "jax" else 100,
)
hypothesis.settings.load_profile("cvzoo")


@pytest.fixture(autouse=True)
def seeds():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A preset folder and its model."""
    import cvzoo
    from tests.helpers import COMPILE, inputs_of, sparse_model

    model = sparse_model()
    folder = tmp_path_factory.mktemp("presets") / "small"
    cvzoo.save_preset(
        model, folder, compile=COMPILE, examples=inputs_of(model, 2), classes="abc"
    )
    return folder, model


@pytest.fixture
def preset(saved, tmp_path):
    """A copy of the preset folder that a test may damage."""
    return shutil.copytree(saved[0], tmp_path / "small")
