"""What `import_cplxmodule` refuses; weights are as they were then."""

import pickle
import zipfile

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

import cvzoo
from cvzoo import layers
from tests.golden.models import (
    MODELS,
    assert_gives_outputs_of_the_original,
    assert_refused,
    complex_model,
    imported,
    load,
    real_model,
    snapshot,
)


def with_one(case, key, value):
    state, _ = load(case)
    state[key] = value(state[key])
    return state


def with_nan(array):
    array = array.copy()
    array.flat[1] = np.nan
    return array


@pytest.mark.parametrize(
    "case, key, change, message",
    [
        ("linear", "0.weight.real", np.transpose, r"shape \(3, 5\). Received shape"),
        ("linear", "0.bias.imag", lambda a: a[:2], r"shape \(3,\). Received shape \(2"),
        ("linear", "0.weight.imag", with_nan, "finite. 1 of its 15 numbers are not"),
        ("linear", "0.weight.real", lambda a: a.astype(int), "dtype int64"),
        ("linear", "0.weight.real", lambda a: a.astype(str), "dtype <U"),
        ("linear", "0.weight.real", lambda a: a.astype(object), "dtype object"),
        ("linear", "0.bias.real", lambda a: a > 0, "dtype bool"),
        ("linear", "0.bias.real", lambda a: a[..., None] @ a[None], "Received shape"),
        (
            "real_linear",
            "0.bias",
            lambda a: a + np.float64(1e300),
            "too large for the float32",
        ),
        ("vd_linear", "0.log_sigma2", lambda a: a - np.inf, "20 of its 20 numbers"),
        ("masked_linear", "0.mask", lambda a: a - 1, "mask' .* must not be negative"),
        ("masked_linear", "0.mask", lambda a: a[:, :1], "mask' .* must have shape"),
        ("masked_linear", "0.mask", with_nan, "mask' .* must be finite"),
        ("batchnorm1d", "0.running_var", np.negative, "must not be negative"),
        ("batchnorm1d", "0.running_var", lambda a: a + [[[0], [1]], [[0], [0]]], "sym"),
        ("real_batchnorm", "0.running_var", np.negative, "must not be negative"),
    ],
)
def test_wrong_tensors_are_refused(case, key, change, message):
    assert_refused(MODELS[case](), with_one(case, key, change), message)


def test_large_numbers_must_fit_into_half_precision():
    model = real_model((5,), keras.layers.Dense(3, dtype="float16"))
    state = with_one("real_linear", "0.weight", lambda a: a + 1e6)
    assert_refused(model, state, "too large for the float16")


def test_masks_of_booleans_are_taken():
    state = with_one("masked_linear", "0.mask", lambda a: a > 0)
    assert_gives_outputs_of_the_original(
        "masked_linear", imported("masked_linear", state)
    )


def test_all_problems_are_told_at_once():
    state = with_one("linear", "0.weight.real", np.transpose)
    state["0.bias.real"] = with_nan(state["0.bias.real"])
    assert_refused(MODELS["linear"](), state, "(?s)0.weight.real.*0.bias.real")


def test_real_and_complex_layers_are_not_mixed_up():
    complex_state, _ = load("linear")
    real_state, _ = load("real_linear")
    model = MODELS["linear"]()
    names = {"0": model.layers[1].name}
    assert_refused(model, real_state, "0.weight")
    assert_refused(model, real_state, "0.weight", names=names)
    model = MODELS["real_linear"]()
    assert_refused(model, complex_state, "0.weight.real")
    assert_refused(model, complex_state, "0.weight", names={"0": model.layers[0].name})


@pytest.mark.parametrize("epsilon", [1e-3, 1e-4])
def test_another_epsilon_would_change_the_outputs(epsilon):
    state, _ = load("real_batchnorm")
    model = real_model((4, 2, 3), keras.layers.BatchNormalization(epsilon=epsilon))
    assert_refused(model, state, "has epsilon=")
    cvzoo.import_cplxmodule(model, state, epsilon=epsilon)
    cvzoo.import_cplxmodule(model, state, epsilon=None)
    assert_refused(model, state, "`epsilon` must be", epsilon="small")


@pytest.mark.parametrize(
    "names, message",
    [
        ({"7": "first"}, "no such prefixes"),
        ({"0": "third"}, "no such layers"),
        ({"0": "first", "1": "first"}, "gives a layer twice"),
        (["0"], "must be a dictionary"),
    ],
)
def test_wrong_names_are_refused(names, message):
    model = real_model(
        (5,), keras.layers.Dense(5, name="first"), keras.layers.Dense(5, name="second")
    )
    state = {f"{n}.weight": np.ones((5, 5), "float32") for n in "01"}
    state |= {f"{n}.bias": np.ones(5, "float32") for n in "01"}
    assert_refused(model, state, message, names=names)
    cvzoo.import_cplxmodule(model, state, names={"1": "first", "0": "second"})
    assert_refused(model, state, "(?s)2 variables of.*2 tensors", names={"1": "first"})


def test_safetensors_keep_no_order(tmp_path):
    state = {}
    for place in range(12):
        state[f"{place}.weight"] = np.full((2, 2), place, "float32")
        state[f"{place}.bias"] = np.full(2, place, "float32")
    model = real_model((2,), *[keras.layers.Dense(2) for _ in range(12)])
    path = tmp_path / "net.safetensors"
    # The numbers of a Sequential network have an order, names have none.
    save_file(state, path)
    cvzoo.import_cplxmodule(model, path)
    assert [float(one[0]) for one in model.weights[1::2]] == list(range(12))
    save_file({f"layer{key}": value for key, value in state.items()}, path)
    assert_refused(model, path, "does not keep the order of layers. Give `names`")


def test_another_number_of_layers_is_refused():
    state, _ = load("linear")
    model = complex_model((5,), layers.ComplexDense(3), layers.ComplexDense(3))
    assert_refused(model, state, "(?s)8 variables of the model.*4 tensors without")


def test_layers_without_a_rule_are_missing():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Embedding(3, 5), keras.layers.Dense(3)]
    )
    state, _ = load("real_linear")
    assert_refused(model, state, "embeddings")
    report = cvzoo.import_cplxmodule(model, state, strict=False)
    assert len(report.missing) == 1 and len(report.loaded) == 2


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.bin", "net.PKL", "net"])
def test_pickles_are_refused_unread(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(pickle.dumps({}))
    assert_refused(MODELS["linear"](), path, r"(?s)pickle.*net.state_dict\(\).*savez")


def test_pickles_inside_of_npz_are_refused(tmp_path):
    path = tmp_path / "net.npz"
    np.savez(path, **{"0.weight": np.array([{}], dtype=object)})
    assert_refused(MODELS["linear"](), path, "no .npz file of arrays")


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_damaged_files_are_refused(suffix, tmp_path):
    state, _ = load("linear")
    path = tmp_path / f"net.{suffix}"
    if suffix == "npz":
        np.savez_compressed(path, **state)
    else:
        save_file(state, path)
    whole = path.read_bytes()
    model = MODELS["linear"]()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        assert_refused(model, path, "damaged or cut off")


def test_changed_bytes_of_npz_are_found_or_change_nothing(tmp_path):
    state, _ = load("linear")
    path = tmp_path / "net.npz"
    np.savez_compressed(path, **state)
    whole, raised = path.read_bytes(), 0
    model = MODELS["linear"]()
    cvzoo.import_cplxmodule(model, path)
    before = snapshot(model)
    generator = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[generator.integers(len(whole))] ^= 1 << generator.integers(8)
        path.write_bytes(damaged)
        try:
            cvzoo.import_cplxmodule(model, path)
        except ValueError:
            raised += 1
        for old, new in zip(before, snapshot(model), strict=True):
            np.testing.assert_array_equal(old, new)
    assert raised > 100


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "net.npz"
    np.savez_compressed(path, **{"0.weight.real": np.zeros((6000, 5000), "float32")})
    assert path.stat().st_size < 200_000
    assert_refused(MODELS["linear"](), path, "unpacks to 120,000,")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("readme.txt", b"hello", "must hold arrays"),
        ("a.npy", b"hello", "damaged"),
        ("a.npy", b"\x93NUMPY\x01\x00\x04\x00{(1\n", "damaged"),
    ],
)
def test_other_entries_of_an_archive_are_refused(name, content, message, tmp_path):
    path = tmp_path / "net.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    assert_refused(MODELS["linear"](), path, message)


@pytest.mark.parametrize(
    "weights, message",
    [
        ({}, "holds no tensors"),
        (None, "must be the path of"),
        ([np.ones(2)], "must be the path of"),
        ({3: np.ones(2)}, "must be strings"),
        ({"0.weight": object}, "dtype object|without a variable"),
        ({"a": np.ones(2, "complex64"), "a.real": np.ones(2)}, "there twice"),
        ({"0.weight": [[1.0], [1.0, 2.0]]}, "must be an array"),
    ],
)
def test_other_weights_are_refused(weights, message):
    assert_refused(MODELS["linear"](), weights, message)


def test_files_that_are_not_there_are_told_of(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such file"):
        cvzoo.import_cplxmodule(MODELS["linear"](), tmp_path / "net.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(FileNotFoundError, match="No such file"):
        cvzoo.import_cplxmodule(MODELS["linear"](), tmp_path / "folder.npz")


def test_models_must_be_built_models():
    state, _ = load("linear")
    with pytest.raises(ValueError, match="must be a Keras model"):
        cvzoo.import_cplxmodule(layers.ComplexDense(3), state)
    with pytest.raises(ValueError, match="has no weights yet"):
        cvzoo.import_cplxmodule(keras.Sequential([keras.layers.Dense(3)]), state)
    assert_refused(MODELS["linear"](), state, "`strict` must be", strict=None)


def test_a_flattened_map_must_be_told_of():
    state, _ = load("real_network")
    model = MODELS["real_network"]()
    assert_refused(model, state, r"flattened={'fc': \(4, 3, 2\)}")
    for wrong, message in (
        ({"fc": (3, 4, 2)}, r"flattens a map of \(4, 3, 2\)"),
        ({"fc": (4, 3, 3)}, "makes 36 features, but its features are 24"),
        ({"fc": (4, 3, 2), "fc2": (4, 3, 2)}, "names 'fc2', which is no matched"),
        ({"fc": (4, 3, 2), "conv1": (3, 2)}, "it has no such axis"),
        ({"fc": 24}, "must give a shape"),
        ({"fc": (4, 0, 2)}, "must give a shape"),
        ([("fc", (4, 3, 2))], "must be a dictionary"),
    ):
        assert_refused(model, state, message, flattened=wrong)


def test_what_fits_can_be_taken_alone():
    state, _ = load("linear")
    model = MODELS["linear"]()
    del state["0.weight.imag"]
    assert_refused(model, state, "strict=False")
    before = snapshot(model)
    report = cvzoo.import_cplxmodule(model, state, strict=False)
    name = model.layers[1].name
    assert report.missing == (f"{name}/kernel_real", f"{name}/kernel_imag")
    assert report.unused == ("0.weight.real",)
    np.testing.assert_array_equal(model.weights[0], before[0])
    np.testing.assert_array_equal(model.weights[2], state["0.bias.real"])
