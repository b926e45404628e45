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


# Files that take long, longest first. Processes take file after file, so that none
# should be left with a long one at the end.
LONG = (
    "test_compressing.py",
    "test_distribution.py",
    "test_docs.py",
    "test_run_folder.py",
    "test_train.py",
    "test_compare.py",
    "test_demo.py",
    "test_readme.py",
    "test_registry.py",
    "test_sparsity.py",
    "test_saved_models.py",
)


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.name
        return LONG.index(name) if name in LONG else len(LONG)

    items.sort(key=place)


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
