"""Networks without their weights: what they are made of, and files of them."""

import json
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cvzoo
from cvzoo import catalogue, reporting, weights
from cvzoo.exporting import rivals
from cvzoo.exporting.rivals import Rival, Rivals, RivalsError

SHIPPED = sorted(path.stem for path in rivals.SHIPPED.glob("*.json"))


def sparse_network(field="complex", density=0.3):
    keras.utils.set_random_seed(0)
    model = cvzoo.create_model("simple_conv", field=field, width=0.2, classes=4)
    generator = np.random.default_rng(0)
    values = {}
    for name, value in weights.named_tensors(model).items():
        parts = value if isinstance(value, tuple) else (value,)
        mask = generator.random(parts[0].shape) < density
        parts = [generator.normal(size=mask.shape) * mask for _ in parts]
        values[name] = tuple(parts) if len(parts) == 2 else parts[0]
    weights.assign(model, values)
    return cvzoo.shrink(model)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_a_network_made_anew_has_as_many_zeros_in_each_layer(field):
    model = sparse_network(field)
    described = json.loads(json.dumps(rivals.describe(model)))
    found = rivals.build(described)
    before, after = (weights.named_tensors(one) for one in (model, found))
    assert list(before) == list(after)
    for name, value in before.items():
        left, right = np.asarray(value), np.asarray(after[name])
        assert left.shape == right.shape
        assert np.count_nonzero(left) == np.count_nonzero(right)
        assert not np.array_equal(left, right) or not left.any()
    # Nothing in it is dead, as nothing was: `shrink` takes no unit away.
    assert reporting.counts(weights.named_tensors(cvzoo.shrink(found))) == (
        reporting.counts(before)
    )


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_masks_reach_every_input_and_output(shape, share, seed):
    size = math.prod(shape)
    nonzero = round(share * size)
    mask = rivals._mask(shape, nonzero, np.random.default_rng(seed))
    assert mask.shape == shape and mask.sum() == nonzero
    if len(shape) > 1 and nonzero >= sum(shape[-2:]):
        by_pair = mask.reshape(-1, *shape[-2:]).any(0)
        assert by_pair.any(0).all() and by_pair.any(1).all()


def some_rivals():
    rows = [
        Rival("uncompressed", False, 93.0, 0.5, 900, 3_600, {"a": 1}),
        Rival("ours", True, 92.5, None, 90, 400),
    ]
    about = ("accuracy, test split", "2 folds", "python -m x", "2 cores", "2026-01-01")
    return Rivals("some_preset", *about, rows)


def test_files_give_back_what_was_written(tmp_path):
    rivals.write(tmp_path / "rivals.json", some_rivals())
    found = rivals.read(tmp_path / "rivals.json")
    assert found == some_rivals()
    assert found.ours.name == "ours" and found.named("uncompressed").bytes == 3_600
    assert found.named("another") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "{}", '{"format": 2, "rows": []}', '{"format": 1}']
)
def test_other_files_are_refused(text, tmp_path):
    (tmp_path / "rivals.json").write_text(text)
    with pytest.raises(RivalsError, match=r"must be a file `rivals.json` of"):
        rivals.read(tmp_path / "rivals.json")


def test_rows_of_other_kinds_are_refused(tmp_path):
    file = tmp_path / "rivals.json"
    rivals.write(file, some_rivals())
    file.write_text(file.read_text().replace('"test"', '"tset"'))
    with pytest.raises(RivalsError, match="unexpected keyword argument 'tset'"):
        rivals.read(file)


def test_every_shipped_preset_has_rivals():
    assert catalogue.preset_names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_rivals_can_be_made(name):
    found = rivals.read(rivals.SHIPPED / f"{name}.json")
    assert found.preset == name and found.ours is not None
    assert found.named("uncompressed").network is not None
    made = [row for row in found.rows if row.network is not None and not row.is_ours]
    assert len(made) >= 3
    for row in made:
        if row.numbers < 10**6:
            _, nonzero = reporting.counts(
                weights.named_tensors(rivals.build(row.network))
            )
            # Of the first repetition; `numbers` are means.
            assert nonzero == pytest.approx(row.numbers, rel=0.3)
