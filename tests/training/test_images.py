"""Image sets: what is read of their files, and what training makes of it."""

import contextlib
import functools
import hashlib
import shutil

import numpy as np
import pytest
import sklearn.model_selection
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.helpers import two_replicas
from tests.training import tiny_images
from training import config as configs
from training import data as data_sets
from training import datasets, train
from training.data import DamagedDataError, DataError, MissingDataError, images
from training.data.augmentation import crop_and_flip

NAMES = sorted(images.SETS)
# Facts §7.1: drawn by paper 2.
SEEDS = {
    "mnist": 1641730374,
    "kmnist": 102048205,
    "fashion_mnist": 1526761432,
    "emnist_letters": 605446338,
}


def arrays(source, split, **options):
    """A split of a set as two numpy arrays."""
    loaded = source.load(split, **options)
    return [part.numpy() for part in loaded.batch(10**6).get_single_element()]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder of data sets with the tiny one, in three files a part."""
    folder = tmp_path_factory.mktemp("prepared")
    in_three = functools.partial(tfds.download.DownloadConfig, num_shards=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfds.download, "DownloadConfig", in_three)
        tiny_images.image_set().prepare(folder)
    return folder


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """A folder of data sets, empty and our own."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def tiny(prepared, data_dir):
    """The folder of the tiny set, whose files a test may damage."""
    shutil.copytree(prepared, data_dir, dirs_exist_ok=True)
    return data_dir / "tiny_images" / "1.0.0"


@contextlib.contextmanager
def mocked(name, folder, count, published=None, told=None):
    """A set that TensorFlow Datasets takes for prepared.

    Args:
        name: Of the set.
        folder: Where its metadata is put.
        count: Number of examples of each part.
        published: Images and labels in the order of the published files; random ones
            for `None`.
        told: Number of examples that the metadata tells of, if it is another one.
    """
    builder = tfds.builder(images.SETS[name].tfds_name, data_dir=folder)
    splits = [
        tfds.core.SplitInfo(
            name=part,
            shard_lengths=[told or count],
            num_bytes=1,
            filename_template=builder._get_filename_template(part),
        )
        for part in ("train", "test")
    ]
    builder.info.set_splits(tfds.core.splits.SplitDict(splits))
    builder.data_path.mkdir(parents=True)
    builder.info.write_to_directory(builder.data_path)

    def as_dataset(self, split, **kwargs):
        def key(place):
            return hashlib.md5(f"{split}{place}".encode()).hexdigest()

        stored = sorted(range(count), key=key)
        pixels, labels = (np.asarray(whole)[stored] for whole in published)
        return tf.data.Dataset.from_tensor_slices(
            {"image": pixels, "label": np.int64(labels)}
        )

    with tfds.testing.mock_data(
        count,
        policy=tfds.testing.MockPolicy.USE_FILES,
        as_dataset_fn=as_dataset if published else None,
        data_dir=str(folder),
    ):
        yield


def numbered(count, shape, labels):
    """Images whose first two pixels are their place, and labels."""
    pixels = np.zeros((count, *shape), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 1, 0] = np.divmod(np.arange(count), 256)
    return pixels, labels


def places_of(pixels):
    return 256 * np.int64(pixels[:, 0, 0, 0]) + pixels[:, 0, 1, 0]


@pytest.mark.parametrize("split", ["train", "test"])
def test_examples_come_in_the_order_of_the_published_files(split, tiny):
    builder = tfds.builder("tiny_images", data_dir=tiny.parents[1])
    stored = [
        int(image[0, 0, 0])
        for image, _ in builder.as_dataset(split, as_supervised=True)
    ]
    pixels, labels = arrays(tiny_images.image_set(), split)
    places = np.arange(tiny_images.COUNTS[split])
    assert sorted(stored) == list(places) != stored
    expected = np.broadcast_to(places[:, None, None, None], pixels.shape)
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(labels, places % 10)
    assert pixels.shape[1:] == tiny_images.SHAPE


@pytest.mark.parametrize("name", sorted({*NAMES} - {"emnist_letters"}))
def test_every_set_gives_bytes_and_labels_from_zero(name, data_dir):
    source = data_sets.find(name)
    with mocked(name, data_dir, 200):
        pixels, labels = arrays(source, "train")
        classes = tfds.builder(source.tfds_name).info.features["label"]
    assert pixels.shape == (200, *source.shape)
    assert (pixels.dtype, labels.dtype) == (np.uint8, np.int32)
    assert sorted(set(labels)) == list(range(len(source.CLASSES)))
    known = [one.lower() for one in classes.names]
    assert known[0] == "0" or known == [one.lower() for one in source.CLASSES]


def test_letters_stand_upright_and_begin_with_a(data_dir):
    source = data_sets.find("emnist_letters")
    upright = np.zeros((26, 28, 28, 1), np.uint8)
    upright[:, 5, 3:20, 0] = 1 + np.arange(26)[:, None]  # from left to right
    with mocked(
        "emnist_letters", data_dir, 26, (upright.swapaxes(1, 2), np.arange(1, 27))
    ):
        pixels, labels = arrays(source, "train")
    np.testing.assert_array_equal(pixels, upright)
    np.testing.assert_array_equal(labels, np.arange(26))
    assert (source.CLASSES[0], source.CLASSES[25]) == ("A", "Z")


@pytest.mark.parametrize("name", SEEDS)
def test_the_subset_of_paper_2_is_drawn_by_its_seed(name, data_dir):
    source = data_sets.find(name)
    labels = np.random.default_rng(3).integers(0, 4, 900) ** 2 % len(source.CLASSES)
    stored = labels + source.first_label
    options = {"n_train": 400, "n_validation": 100}
    with mocked(name, data_dir, 900, numbered(900, source.shape, stored)):
        drawn, held = (
            arrays(source, split, **options) for split in ("train", "validation")
        )
    pixels = [
        part.swapaxes(1, 2) if source.is_transposed else part
        for part, _ in (drawn, held)
    ]
    sampler = sklearn.model_selection.StratifiedShuffleSplit(
        1, train_size=400, random_state=SEEDS[name]
    )
    ((expected, rest),) = sampler.split(np.zeros(900), labels)
    np.testing.assert_array_equal(places_of(pixels[0]), expected)
    np.testing.assert_array_equal(places_of(pixels[1]), rest[:100])
    np.testing.assert_array_equal(drawn[1], labels[expected])
    np.testing.assert_array_equal(held[1], labels[rest[:100]])


def test_all_images_are_used_in_order_where_no_number_is_given(data_dir):
    source = data_sets.find("cifar10")
    published = numbered(300, source.shape, np.arange(300) % 10)
    with mocked("cifar10", data_dir, 300, published):
        for split in ("train", "test"):
            pixels, _ = arrays(source, split)
            np.testing.assert_array_equal(places_of(pixels), np.arange(300))
        assert len(source.load("validation")) == 0
        few, _ = arrays(source, "test", n_test=7)
        np.testing.assert_array_equal(places_of(few), np.arange(7))
        left, held = (
            places_of(arrays(source, split, n_validation=60)[0])
            for split in ("train", "validation")
        )
    np.testing.assert_array_equal(np.sort([*left, *held]), np.arange(300))
    assert len(held) == 60


@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        ("dev", {}, "`split` must be one of .*'validation'.*split='dev'"),
        ("train", {"n_train": -1}, "`n_train` must be an integer, 0 or more.*-1"),
        ("test", {"n_test": 2.0}, "`n_test` must be an integer"),
        ("train", {"flips": 2}, "`flips` must be 0 to 1.*flips=2"),
        ("train", {"synthetic": True}, "`synthetic` must be 0 to 1"),
        ("train", {"crop_padding": -4}, "`crop_padding` must be an integer"),
        ("test", {"n_test": 31}, "tiny has 30 images.*'test'.*n_test=31"),
        ("train", {"n_train": 150, "n_validation": 51}, "tiny has 200 .*n_train=150"),
        ("validation", {"n_validation": 200}, "tiny has 200 images.*n_validation=200"),
        ("train", {"n_train": 5}, "5 of 200 images of tiny.*keeps its share.*classes"),
    ],
)
def test_options_that_cannot_be_are_refused(split, options, message, tiny):
    with pytest.raises(ValueError, match=message):
        tiny_images.image_set().load(split, **options)


def test_what_is_not_prepared_says_how_to_prepare_it(data_dir, capsys):
    message = (
        f"'mnist' is not here: there is no {data_dir}/mnist/3.0.1. Run `python -m "
        r"training.prepare mnist \[--data-dir DIR\]`.*TFDS_DATA_DIR=DIR"
    )
    with pytest.raises(MissingDataError, match=message):
        data_sets.find("mnist").load("train")
    workdir = data_dir / "run"
    assert train.main(["dcnn_mnist", "--workdir", str(workdir)]) == 2
    assert "python -m training.prepare mnist" in capsys.readouterr().err
    assert not workdir.exists()


def first_file(folder):
    return folder / "tiny_images-train.tfrecord-00000-of-00003"


DAMAGES = {
    "No such file": lambda folder: first_file(folder).unlink(),
    "truncated record": lambda folder: first_file(folder).write_bytes(
        first_file(folder).read_bytes()[:-9]
    ),
    "expected to contain 200 elements but": lambda folder: first_file(
        folder
    ).write_bytes(b""),
    "there is no dataset_info.json": lambda folder: (
        folder / "dataset_info.json"
    ).unlink(),
    "Failed to load JSON": lambda folder: (folder / "dataset_info.json").write_text(
        "{"
    ),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_folders_that_are_not_whole_are_refused(message, tiny):
    DAMAGES[message](tiny)
    match = f"'tiny' in .*tiny_images is damaged: .*{message}.*Delete.*training.prepare"
    with pytest.raises(DamagedDataError, match=match):
        tiny_images.image_set().load("train")


def test_fewer_examples_than_the_files_tell_of_are_refused(data_dir):
    with mocked("mnist", data_dir, 50, told=60):
        message = "it has 50 'train' examples, and should have 60"
        with pytest.raises(DamagedDataError, match=message):
            data_sets.find("mnist").load("train")


@pytest.mark.parametrize("shape", [(8, 6, 3), (28, 28, 1)])
def test_images_of_another_shape_are_refused(shape, tiny):
    expected = "×".join(map(str, shape))
    message = f"images should be of {expected}, and are of 8×6×1"
    with pytest.raises(DamagedDataError, match=message):
        tiny_images.image_set(shape=shape).load("test")


def test_labels_out_of_range_are_named(tiny, data_dir):
    message = "labels should be 0 to 6, and there are 7, 8, 9"
    with pytest.raises(DamagedDataError, match=message):
        tiny_images.image_set(CLASSES=list("0123456")).load("test")
    # The labels of these fakes go from 0 to 36.
    with mocked("emnist_letters", data_dir, 400):
        message = "labels should be 1 to 26, and there are 0, 27, 28, .*36"
        with pytest.raises(DamagedDataError, match=message):
            data_sets.find("emnist_letters").load("train")


def test_unknown_sets_are_answered_with_the_known():
    with pytest.raises(
        DataError, match="'mnits'. Known: .*kmnist, mnist, musicnet, radio"
    ):
        data_sets.find("mnits")


@pytest.mark.parametrize("name", data_sets.names())
def test_every_set_has_what_training_asks_for(name):
    source = data_sets.find(name)
    assert source.SPLITS[:3] == ("train", "validation", "test")
    assert set(source.ABOUT) == {"name", "source", "licence", "inputs"}
    assert len(set(source.CLASSES)) == len(source.CLASSES) > 1
    assert not hasattr(source, "FOLDS") or "fold" in configs.data_options(name)


@pytest.mark.parametrize("name", NAMES)
def test_synthetic_images_need_no_files(name, data_dir):
    source = data_sets.find(name)
    options = {"synthetic": 1, "n_validation": 40, "n_test": 30}
    loaded = {split: arrays(source, split, **options) for split in source.SPLITS}
    sizes = [len(labels) for _, labels in loaded.values()]
    assert sizes == [images.SYNTHETIC, 40, 30]
    for pixels, labels in loaded.values():
        assert pixels.shape[1:] == source.shape and pixels.dtype == np.uint8
        assert set(labels) == set(range(len(source.CLASSES)))
    assert (
        len(np.unique(np.concatenate([x for x, _ in loaded.values()]), axis=0)) == 326
    )


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
