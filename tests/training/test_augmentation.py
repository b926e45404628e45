"""Crops and flips of images, and the batches that training makes of a set."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import two_replicas
from training import config as configs
from training import data as data_sets
from training import datasets, train
from training.data.augmentation import crop_and_flip


def candidates(image, padding):
    """Each crop and its mirror image of an image with black around it, by numpy."""
    height, width, _ = image.shape
    padded = np.zeros(
        (height + 2 * padding, width + 2 * padding, image.shape[2]), image.dtype
    )
    padded[padding : padding + height, padding : padding + width] = image
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = padded[top : top + height, left : left + width]
            yield (top, left, False), crop
            yield (top, left, True), crop[:, ::-1]


def kinds(before, after, padding):
    """Which crop and flip each image got; raises where it is none of them."""
    found = []
    for image, got in zip(before, after, strict=True):
        (kind,) = [
            kind
            for kind, crop in candidates(image, padding)
            if np.array_equal(crop, got)
        ]
        found.append(kind)
    return found


def random_images(*shape):
    return np.random.default_rng(5).integers(1, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [(32, 32, 3), (7, 5, 1)])
def test_crops_and_flips_are_those_of_the_padded_image(shape):
    before = random_images(12, *shape)
    after = crop_and_flip(before, [1, 2], padding=4).numpy()
    found = kinds(before, after, 4)
    assert len(set(found)) > 6
    assert after.dtype == np.uint8 and after.shape == before.shape
    # What came from outside is black: images have no 0.
    for (top, left, is_flipped), image in zip(found, after, strict=True):
        black = np.all((image[:, ::-1] if is_flipped else image) == 0, axis=-1)
        rows, columns = np.ogrid[top : top + shape[0], left : left + shape[1]]
        inside = (rows >= 4) & (rows < 4 + shape[0])
        inside = inside & (columns >= 4) & (columns < 4 + shape[1])
        np.testing.assert_array_equal(black, ~inside)


def test_every_crop_and_flip_is_as_likely():
    before = random_images(1800, 3, 4, 1)
    found = kinds(before, crop_and_flip(before, [3, 4], padding=1).numpy(), 1)
    counts = np.array([found.count(kind) for kind in sorted(set(found))])
    assert len(counts) == 18
    # Chi-square of 17 degrees of freedom: above 40.8 once in a thousand seeds.
    assert np.sum((counts - 100) ** 2 / 100) < 40.8


def test_crops_and_flips_may_be_had_one_without_the_other():
    source = data_sets.find("cifar10")
    before = random_images(40, 6, 6, 3)
    flipped = source.augment(before, [0, 1], flips=1, n_train=9)
    assert set(kinds(before, flipped.numpy(), 0)) == {(0, 0, False), (0, 0, True)}
    cropped = source.augment(before, [0, 1], crop_padding=2)
    found = kinds(before, cropped.numpy(), 2)
    assert len(found) > 10 and not any(is_flipped for *_, is_flipped in found)
    assert source.augment(before, [0, 1]) is before


@pytest.fixture(scope="module")
def config():
    config = train.quick(configs.get("scattering_dcnn_cifar10"))
    config["data"].update(n_train=70, batch_size=32, n_test=20)
    assert (config["data"]["crop_padding"], config["data"]["flips"]) == (4, 1)
    return config


def batches_of(data, epochs, first=0):
    return [
        tuple(part.numpy() for part in batch) for batch in data.training(epochs, first)
    ]


def test_a_resumed_run_sees_the_same_images(config):
    data = datasets.open_data(config)
    whole = batches_of(data, 3)
    resumed = batches_of(datasets.open_data(config), 3, first=1)
    assert len(whole) == 9 and len(resumed) == 6
    for expected, found in zip(whole[3:], resumed, strict=True):
        for left, right in zip(expected, found, strict=True):
            np.testing.assert_array_equal(left, right)
    other = batches_of(datasets.open_data({**config, "seed": 1}), 1)
    assert not np.array_equal(whole[0][0], other[0][0])


def test_each_step_and_epoch_crops_in_its_own_way(config):
    data = datasets.open_data({**config, "data": {**config["data"], "n_train": 96}})
    inputs, labels = data.examples["train"]
    same = tf.tile(inputs[:1], (96, 1, 1, 1))
    data.examples["train"] = same, labels
    seen = [images.tobytes() for images, _ in batches_of(data, 3)]
    assert len(set(seen)) == 9


def test_replicas_share_the_images_of_one_device(config):
    strategy = two_replicas()
    expected = batches_of(datasets.open_data(config), 2)
    shares = datasets.open_data(config, strategy).training(2)
    for (inputs, labels), (part, part_labels, _) in zip(expected, shares, strict=False):
        local = strategy.experimental_local_results
        np.testing.assert_array_equal(np.concatenate(local(part)), inputs)
        np.testing.assert_array_equal(np.concatenate(local(part_labels)), labels)


def test_images_are_bytes_in_memory_and_floats_outside(config):
    plain = {**config["data"], "crop_padding": 0, "flips": 0}
    data = datasets.open_data({**config, "data": plain})
    for split, (inputs, labels) in data.examples.items():
        assert inputs.dtype == tf.uint8
        expected = np.float32(inputs) / 255
        found, found_labels = data.arrays(split)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        np.testing.assert_array_equal(found_labels, labels)
        assert found.max() == 1 and found.min() == 0
    ((evaluated, _),) = data.evaluation("test")[0]
    np.testing.assert_array_equal(evaluated, data.arrays("test")[0])
    first, _ = data.arrays("test", first=2)
    np.testing.assert_array_equal(first, evaluated[:2])
    trained = np.concatenate([inputs for inputs, _ in batches_of(data, 1)])
    assert trained.dtype == np.float32
    np.testing.assert_array_equal(
        np.sort(trained, axis=None), np.sort(data.arrays("train")[0], axis=None)
    )


def test_synthetic_examples_are_called_so(config):
    assert datasets.open_data(config).about["name"].startswith("SYNTHETIC")
    assert data_sets.find("cifar10").ABOUT["name"] == "CIFAR-10"
