"""`decode` and `examples`: scores as names, and inputs to try."""

import numpy as np
import pytest
from scipy import special

import cvzoo
from cvzoo import catalogue, preset_files
from cvzoo.preset_files import PresetError
from tests.helpers import COMPILE, inputs_of, small_model

DIGITS = "two_layer_dense_complex_vd_digits"
NOTES = "musicnet_deep_complex_vd_chorales"


def test_one_class_is_named_with_its_probability():
    scores = np.random.default_rng(0).normal(size=(3, 10)) * 3
    named = cvzoo.decode(DIGITS, scores, top=2)
    expected = special.softmax(scores, axis=1)
    for one, probable in zip(named, expected, strict=True):
        best = np.argsort(probable)[::-1][:2]
        assert [name for name, _ in one] == [str(digit) for digit in best]
        np.testing.assert_allclose([p for _, p in one], probable[best])


def test_each_class_that_is_likely_is_named():
    scores = np.full((2, 84), -1000.0)
    scores[0, [3, 40]] = [0.1, 800]
    first, second = cvzoo.decode(NOTES, scores)
    assert [name for name, _ in first] == ["C#4", "C1"]
    np.testing.assert_allclose([p for _, p in first], special.expit([800, 0.1]))
    assert second == []
    assert [name for name, _ in cvzoo.decode(NOTES, scores, least=0.6)[0]] == ["C#4"]


def test_scores_of_more_axes_give_lists_of_lists():
    named = cvzoo.decode(DIGITS, np.zeros((2, 3, 10)), top=1)
    assert [len(one) for one in named] == [3, 3]


def test_scores_of_another_number_of_classes_are_refused():
    with pytest.raises(PresetError, match=r"must be \(…, 10\).*\(2, 9\)"):
        cvzoo.decode(DIGITS, np.zeros((2, 9)))


def test_a_preset_that_does_not_say_what_scores_are_is_refused(tmp_path):
    folder = cvzoo.save_preset(small_model(), tmp_path / "one", compile=False)
    with pytest.raises(PresetError, match="does not say what its scores are"):
        cvzoo.decode(folder, np.zeros((1, 3)))


def test_examples_are_those_that_were_given(tmp_path):
    model = small_model()
    folder = tmp_path / "one"
    given = inputs_of(model, 2)
    cvzoo.save_preset(model, folder, compile=COMPILE, examples=given)
    np.testing.assert_array_equal(cvzoo.examples(folder), given)
    bare = cvzoo.save_preset(model, tmp_path / "bare", compile=COMPILE)
    with pytest.raises(PresetError, match="keeps no examples"):
        cvzoo.examples(bare)


@pytest.mark.parametrize("name", catalogue.preset_names())
def test_shipped_presets_have_examples_and_say_what_scores_are(name):
    manifest = preset_files.read_manifest(catalogue.find(name))
    outputs = np.reshape(
        manifest["examples"]["outputs"]["values"],
        manifest["examples"]["outputs"]["shape"],
    )
    assert len(cvzoo.decode(name, outputs)) == len(cvzoo.examples(name)) == 2
