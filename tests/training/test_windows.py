"""Windows of recordings against the papers' rules, written out."""

import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

import training.data
from training import datasets, stages
from training.checkpoints import Checkpoint
from training.data import windows
from training.data.recordings import NOTES, Recordings, Writer
from training.run_folder import RunFolder
from zoo_configs import musicnet

LENGTHS = (900, 1700, 1200, 768, 2000)
WINDOW = 768


def write(folder, lengths, seed):
    """Recordings whose samples are their places, with random notes."""
    generator = np.random.default_rng(seed)
    start = 0
    with Writer(folder) as writer:
        for number, length in enumerate(lengths):
            begins = generator.integers(0, length, 30)
            ends = begins + generator.integers(1, 400, 30)
            notes = generator.integers(21, 105, 30)
            sound = np.arange(start, start + length)
            writer.add(f"r{number}", [sound], begins, ends, notes)
            start += length
    return Recordings.open(folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    found = {
        "train": write(folder / "train", LENGTHS, 0),
        "validation": write(folder / "validation", (1000, 900), 1),
        "test": write(folder / "test", (1100,), 2),
    }
    return types.SimpleNamespace(
        recordings=lambda split, synthetic=0: found[split],
        SPLITS=tuple(found),
        CLASSES=[str(note) for note in range(NOTES)],
        ABOUT={"name": "places", "source": "-", "licence": "-", "inputs": "-"},
    )


@pytest.fixture
def config(monkeypatch, source):
    find = training.data.find
    monkeypatch.setattr(
        training.data, "find", lambda name: source if name == "places" else find(name)
    )
    config = musicnet.get_config()
    config["model"] |= {"window": WINDOW, "filters": 1}
    config["data"] = {
        **{"name": "places", "batch_size": 5, "steps": 3},
        **{"stride": 100, "protocol": "nazarov"},
    }
    return config


def batches_of(config, epochs, first=0):
    found = datasets.open_data(config).training(epochs, first)
    return [(sound.numpy(), labels.numpy()) for sound, labels in found]


def test_each_batch_has_a_window_of_every_recording(config, source):
    recordings = source.recordings("train")
    batches = batches_of(config, 2)
    assert len(batches) == 6
    for sound, labels in batches:
        starts = sound[:, 0].astype(int)
        which = np.searchsorted(recordings.starts, starts, side="right") - 1
        assert sorted(which) == [0, 1, 2, 3, 4]
        # Inside one recording, and in one piece.
        assert np.all(starts + WINDOW <= recordings.starts[which + 1])
        np.testing.assert_array_equal(sound, starts[:, None] + np.arange(WINDOW))
        middles = starts + WINDOW // 2
        np.testing.assert_array_equal(labels, recordings.labels(middles))
        assert labels.dtype == np.float32


def test_small_batches_go_through_all_recordings(config, source):
    config["data"] |= {"batch_size": 2, "steps": 5}
    recordings = source.recordings("train")
    starts = np.concatenate([sound[:, 0] for sound, _ in batches_of(config, 1)])
    which = np.searchsorted(recordings.starts, starts.astype(int), side="right") - 1
    assert sorted(which[:5]) == sorted(which[5:]) == [0, 1, 2, 3, 4]


def test_order_depends_on_seed_and_epoch_only(config):
    whole = batches_of(config, 3)
    for (left, _), (right, _) in zip(whole[3:], batches_of(config, 3, 1), strict=True):
        np.testing.assert_array_equal(left, right)
    other = batches_of({**config, "seed": 1}, 1)
    assert any(np.any(a != b) for (a, _), (b, _) in zip(whole, other, strict=False))
    assert np.any(whole[0][0] != whole[3][0])


@pytest.mark.parametrize(("protocol", "last"), [("nazarov", 132), ("trabelsi", 131)])
def test_windows_start_anywhere_inside(source, protocol, last):
    recordings = source.recordings("train")
    shares = np.array([0.0, np.nextafter(1, 0)])
    found = windows.train_starts(recordings, WINDOW, np.array([0, 0]), shares, protocol)
    assert found.tolist() == [0, last]


@given(st.lists(st.integers(64, 400), min_size=1, max_size=4), st.integers(1, 90))
def test_evaluation_has_the_papers_number_of_windows(lengths, stride):
    edges = np.concatenate([[0], np.cumsum(lengths)])
    recordings = Recordings(
        ("",) * len(lengths), np.zeros(edges[-1]), edges, None, None
    )
    found = windows.evaluation_starts(recordings, 64, stride)
    # ceil((L - 63) / s) of each recording.
    assert len(found) == sum(-(-(length - 63) // stride) for length in lengths)
    which = np.searchsorted(edges, found, side="right") - 1
    assert np.all(found + 64 <= edges[which + 1])


def test_trabelsis_evaluation():
    length = 11_000 + 7499 * 128 + 4096
    recordings = Recordings(
        ("a", "b"), None, np.array([0, length, 2 * length + 5]), None, None
    )
    found = windows.evaluation_starts(recordings, 4096, protocol="trabelsi")
    assert len(found) == 15_000
    assert found[0] == 11_000 and found[7499] + 4096 == length
    assert found[7500] == length + 11_000
    short = Recordings(("a",), None, np.array([0, length - 1]), None, None)
    with pytest.raises(ValueError, match=f"'a' has {length - 1} samples"):
        windows.evaluation_starts(short, 4096, protocol="trabelsi")


def test_evaluation_is_all_windows_in_order(config, source):
    data = datasets.open_data(config)
    batches, steps = data.evaluation("validation")
    sound = np.concatenate([inputs.numpy() for inputs, _ in batches])
    # Two recordings of 1000 and 900 samples.
    assert sound[:, 0].tolist() == [0, 100, 200, 1000, 1100]
    assert steps == 1 and data.size("validation") == 5
    inputs, labels = data.arrays("validation", first=2)
    np.testing.assert_array_equal(inputs, sound[:2])
    expected = source.recordings("validation").labels([WINDOW // 2, 100 + WINDOW // 2])
    np.testing.assert_array_equal(labels, expected)
    assert data.n_train == 15 and data.held_out == ["validation", "test"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("protocol", "thickstun", "must be one of"),
        ("stride", 0, "must be positive"),
        ("steps", 0, "must be positive"),
    ],
)
def test_wrong_options_are_refused(config, key, value, message):
    config["data"][key] = value
    with pytest.raises(ValueError, match=message):
        datasets.open_data(config)


def test_a_recording_shorter_than_a_window_is_named(config):
    config["model"]["window"] = 800
    with pytest.raises(ValueError, match="'r3' of split 'train' has 768 samples"):
        datasets.open_data(config)


def test_networks_must_have_the_notes_of_the_data(config):
    data = datasets.open_data(config)
    data.check_fits(config["model"])
    with pytest.raises(ValueError, match=r"`model.notes` must be 84"):
        data.check_fits({**config["model"], "notes": 83})


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def kill(*_, **__):
    raise Killed


@pytest.mark.slow
def test_stages_are_scored_exactly_and_stop_early(config, tmp_path, monkeypatch):
    config["data"]["stride"] = 50
    config["stages"]["pretrain"] = {
        "epochs": 8,
        "early_stopping": {"patience": 1, "max_drop": 1.0},
    }
    # So large that scores rise and fall.
    config["optimizer"]["learning_rate"] = 0.05

    def pretrained(name):
        data = datasets.open_data(config)
        folder = RunFolder(tmp_path / name, config, data.strategy)
        trained = stages.pretrain(config, data, folder, quiet=True)
        return data, trained, folder.logged("pretrain", "val_average_precision")

    data, trained, scores = pretrained("whole")
    # Where the first score is not the best: that epoch is the last one.
    worse = [at for at in range(1, len(scores)) if scores[at] < max(scores[:at])]
    assert worse == [len(scores) - 1] and len(scores) < 8
    sound, labels = data.arrays("test")
    logits = trained.model.predict(sound, verbose=0)
    expected = average_precision_score(labels.ravel(), logits.ravel())
    assert trained.scores["test"]["pretrain"] == pytest.approx(expected, abs=1e-6)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        save = Checkpoint.save
        patched.setattr(
            Checkpoint,
            "save",
            lambda self, stage, epoch, arrays: (kill if epoch == 2 else save)(
                self, stage, epoch, arrays
            ),
        )
        pretrained("stopped")
    # After its last epoch, before its network is kept.
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(RunFolder, "keep", kill)
        pretrained("stopped")
    _, again, found = pretrained("stopped")
    assert found == pytest.approx(scores)
    for left, right in zip(
        again.model.get_weights(), trained.model.get_weights(), strict=True
    ):
        # Gradients of convolutions are summed in any order.
        np.testing.assert_allclose(left, right, rtol=1e-2, atol=1e-4)
