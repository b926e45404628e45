"""What networks for the notes in music are compared with, beside `baselines`.

The two priors hear nothing. The others are trained like the recipe's network: all its
epochs, on the same windows.
"""

import itertools

import keras
import numpy as np
from keras import ops as kops

from cvzoo import packing, weights
from cvzoo.layers import FourierFeatures, FromComplex
from training import equal_bytes, stages
from training.baselines import Row, from_scratch, largest
from training.data.filterbanks import filterbank
from training.data.recordings import LOWEST_NOTE, NOTES

# How well pitch classes fit a key, from its tonic on (Krumhansl and Kessler, 1982).
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

LOWEST_HERTZ = 440 * 2 ** ((LOWEST_NOTE - 69) / 12)


def note_prior(run):
    """How often each note sounds in training, whatever is heard."""
    rates = _rates(run.data.recordings["train"])

    def scores(recordings):
        return np.broadcast_to(rates.mean(axis=0), (len(recordings.names), NOTES))

    return _constant(run, "note prior", rates.mean(axis=0), scores)


def key_prior(run):
    """The same relative to the key, which is told.

    The key of a recording is the one whose profile fits its own true notes best, so
    that this knows more than a network does.
    """
    train = run.data.recordings["train"]
    # Of each mode, for all intervals from the tonic; those never heard have rate 0.
    rates_of = np.zeros((2, NOTES + 12))
    heard = np.full((2, NOTES + 12), 1e-6)
    for rates, key in zip(_rates(train), keys(train), strict=True):
        mode, places = key // 12, _relative(key)
        rates_of[mode, places] += rates
        heard[mode, places] += 1

    table = rates_of / heard

    def scores(recordings):
        return [table[key // 12, _relative(key)] for key in keys(recordings)]

    return _constant(run, "note prior, given the key", table, scores)


def spectrum_linear(run):
    """Logistic regression on the moduli of the Fourier transform."""
    keras.utils.set_random_seed(run.config["seed"])
    audio = keras.Input((run.data.window,), name="audio")
    x = keras.layers.Reshape((run.data.window, 1))(audio)
    x = FourierFeatures(axes=1, norm="backward", shift=False)(x)
    x = FromComplex("modulus")(x)
    # The other half is the same.
    x = keras.layers.Cropping1D((0, run.data.window // 2 - 1))(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.BatchNormalization(scale=False, center=False)(x)
    model = keras.Model(audio, keras.layers.Dense(NOTES, name="logits")(x))
    return from_scratch(run, "logistic regression on |FFT|", model, _measured)


def log_frequency(run):
    """A small real convolutional network on a spectrum of log-spaced frequencies.

    As many bytes as the compressed network; after Thickstun et al., 2018, whose real
    networks on such spectra are ahead of complex ones on MusicNet.
    """
    window = run.data.window
    models = (log_frequency_network(window, filters) for filters in itertools.count(1))
    return largest(run, "log-frequency spectrum, small CNN", models, _measured)


ROWS = {
    function.__name__: function
    for function in (note_prior, key_prior, spectrum_linear, log_frequency)
}


def log_frequency_network(window, filters):
    """Spectrum → two convolutions over frequency → a linear layer."""
    audio = keras.Input((window,), name="audio")
    x = LogFrequencySpectrum()(audio)
    x = keras.layers.BatchNormalization(axis=1, scale=False, center=False)(x)
    # An octave, so that a note and its overtones meet.
    x = keras.layers.Conv1D(filters, 37, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv1D(filters, 13, 3, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(audio, keras.layers.Dense(NOTES, name="logits")(x))


class LogFrequencySpectrum(keras.layers.Layer):
    """Audio → log of its energy in bands of equal width in pitch.

    Bands overlap by half, and reach from the lowest note to the highest frequency;
    where they are narrower than the transform's bins, neighbours share one.

    Args:
        per_octave: Number of bands in an octave.
    """

    def __init__(self, per_octave=36, **kwargs):
        super().__init__(**kwargs)
        self.per_octave = per_octave

    def build(self, input_shape):
        window = input_shape[-1]
        self.taper = np.hanning(window).astype(np.float32)
        self.bands = filterbank(window, LOWEST_HERTZ, self.per_octave)
        self.built = True

    def call(self, audio):
        real, imag = kops.rfft(audio * self.taper)
        energy = kops.matmul(real**2 + imag**2, self.bands)
        return kops.log(energy + 1e-3)[..., None]


def keys(recordings):
    """The key that fits the notes of each best: its tonic, and 12 more if minor."""
    found = []
    profiles = np.array(
        [np.roll(profile, tonic) for profile in (MAJOR, MINOR) for tonic in range(12)]
    )
    profiles -= profiles.mean(axis=1, keepdims=True)
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    for rates in _rates(recordings):
        classes = np.zeros(12)
        np.add.at(classes, (np.arange(NOTES) + LOWEST_NOTE) % 12, rates)
        found.append(int(np.argmax(profiles @ (classes - classes.mean()))))
    return found


def _relative(key):
    """Places of the notes in a table that is counted from the tonic."""
    return np.arange(NOTES) + 12 - key % 12


def _rates(recordings):
    """The share of each recording in which each note sounds, `(recordings, 84)`."""
    begins = np.searchsorted(recordings.changes, recordings.starts)
    ends = np.append(recordings.changes[1:], len(recordings.audio))
    durations = ends - recordings.changes
    found = [
        durations[begin:end]
        @ np.unpackbits(recordings.sounding[begin:end], axis=1, count=NOTES)
        for begin, end in itertools.pairwise(begins)
    ]
    return np.array(found) / recordings.lengths[:, None]


def _constant(run, name, table, scores_of):
    """The row of what scores all windows of a recording alike, by a table."""
    found = {}
    for split in run.data.held_out:
        which, labels = run.data.labels(split)
        scores = np.asarray(scores_of(run.data.recordings[split]), np.float32)[which]
        for key, metric in run.data.metrics(split).items():
            metric.update_state(labels, scores)
            found[key] = {name: metric.result()}
    numbers = int(np.count_nonzero(table))
    size = len(packing.pack({"rates": table.astype(np.float32)}))
    return _row(name, numbers, size, found)


def _measured(name, model, data):
    """The row of a network with layers of its own, which nothing shrinks."""
    scores = stages.evaluate(model, data, name)
    tensors = weights.named_tensors(model)
    numbers = sum(np.size(value) for value in tensors.values())
    return _row(name, numbers, equal_bytes.packed_bytes(model), scores)


def _row(name, numbers, size, scores):
    return Row(
        name,
        numbers,
        size,
        scores.get("validation", {}).get(name),
        scores["test"][name],
        more=stages.other_tests(scores, name),
    )
