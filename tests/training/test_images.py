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

from tests.training import tiny_images
from training import data as data_sets
from training import recipe_parts, train
from training.data import DamagedDataError, DataError, MissingDataError, images

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
    # YouTube-8M's papers have no videos to choose by.
    chosen_by = () if name == "youtube8m" else ("validation",)
    splits = ("train", *chosen_by, "test")
    assert source.SPLITS[: len(splits)] == splits
    told, more = set(source.ABOUT), {"range", "sample_rate", "notice"}
    assert told - more == {"name", "source", "licence", "inputs"}
    assert len(set(source.CLASSES)) == len(source.CLASSES) > 1
    assert not hasattr(source, "FOLDS") or "fold" in recipe_parts.data_options(name)


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
