"""SYNTHETIC radio signals: which of eight digital modulations is it?

Everything is simulated here, nothing was recorded from the air. The set follows the
digital part of RadioML 2016.10A: 128 complex samples, 8 samples a symbol in every
example, one of eight modulations, and a channel that turns, shifts, echoes and adds
noise. It is not that set: it is cleaner where the constants below say "ours", and its
signal-to-noise ratios are −2 to 18 dB, where theirs are −20 to 18 dB.

Reference:
    O'Shea and West, 2016, Radio Machine Learning Dataset Generation with GNU Radio,
    Proceedings of the GNU Radio Conference; generator at github.com/radioML/dataset.
"""

import dataclasses
import functools
import numbers

import numpy as np
import scipy.special
import tensorflow as tf

CLASSES = ["BPSK", "QPSK", "8PSK", "4PAM", "16QAM", "64QAM", "GFSK", "CPFSK"]
SPLITS = ("train", "validation", "test")
ABOUT = {
    "name": "synthetic radio signals, 8 modulations at -2 to 18 dB",
    "source": "simulated by training/data/radio.py, after O'Shea and West, 2016",
    "licence": "Apache-2.0",
    "inputs": "128 samples of I and Q, mean power 1",
}
SNRS = np.arange(-2, 20, 2)
SAMPLES = 128
SAMPLES_PER_SYMBOL = 8

# As in RadioML's generator. Their GFSK turns by 0.1 radian a sample, which is the
# modulation index h = 0.8 / π; a symbol turns the phase by π h.
ROLL_OFF = 0.35
BANDWIDTH_TIME = 0.35
FSK_INDEX = {"GFSK": 0.8 / np.pi, "CPFSK": 0.5}

# The channel. Theirs: delays in samples and magnitudes of the paths, power of the
# steady part of the first path over its scattered part (Rician; later paths are
# Rayleigh), largest frequency offset in cycles a sample (500 Hz of 200 kHz), taps.
# Ours: paths and offset are drawn once an example, where theirs drift, though little
# within 128 samples; offsets are uniform; the sampling clock is exact.
PATH_DELAYS = np.array([0.0, 0.9, 1.7])
PATH_MAGNITUDES = np.array([1.0, 0.8, 0.3])
RICIAN_FACTOR = 4.0
MAX_FREQUENCY_OFFSET = 0.0025
TAPS = 8

# Ours: symbols that a pulse spans.
SPAN = 12


@dataclasses.dataclass(frozen=True)
class Signals:
    """Examples before their parts are added; the first axis runs over them.

    Attributes:
        labels: Places in `CLASSES`.
        snr: Signal-to-noise ratios in decibels.
        symbols: What was sent, complex64; rows of real ±1 for GFSK and CPFSK.
        clean: Signals after the channel, complex64.
        noise: The noise to add, complex64.
    """

    labels: np.ndarray
    snr: np.ndarray
    symbols: np.ndarray
    clean: np.ndarray
    noise: np.ndarray


def load(
    split,
    fold=0,
    n_train=20_000,
    n_validation=4_000,
    n_test=6_000,
    samples=SAMPLES,
):
    """Signals `(samples, 2)` float32, last axis I and Q, and labels int32.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        fold: Seed, 0 or more. Each split of each fold has a random stream of its own.
        n_train, n_validation, n_test: Examples of the splits. Modulations and
            signal-to-noise ratios are as balanced as these allow.
        samples: Samples of a signal, 8 a symbol.
    """
    return tf.data.Dataset.from_tensor_slices(
        arrays(
            split,
            samples,
            fold=fold,
            n_train=n_train,
            n_validation=n_validation,
            n_test=n_test,
        )
    )


def arrays(split, samples=SAMPLES, **options):
    """The same as two numpy arrays; each signal has unit mean power."""
    signals = simulate(*_size_and_seed(split, samples=samples, **options), samples)
    received = signals.clean + signals.noise
    received /= np.sqrt(_mean_power(received))
    return np.stack([received.real, received.imag], axis=-1), signals.labels


def snr(split, **options):
    """Signal-to-noise ratio of each example of a split in decibels, int32.

    Args:
        split, **options: As of `load`.
    """
    size, seed = _size_and_seed(split, **options)
    # The first that `simulate` draws.
    return draw_cells(size, np.random.default_rng(seed))[1]


# Scores are told apart by it.
groups = snr


def simulate(size, seed, samples=SAMPLES):
    """Labels, symbols, clean signals and noise.

    Args:
        size: Number of examples.
        seed: What `numpy.random.default_rng` takes.
        samples: Samples of a signal.
    """
    random = np.random.default_rng(seed)
    labels, decibels = draw_cells(size, random)
    # Samples before the first are heard through the later taps.
    symbols_heard = -(-(samples + TAPS - 1) // SAMPLES_PER_SYMBOL)
    symbols = np.empty((size, symbols_heard + SPAN - 1), np.complex64)
    sent = np.empty((size, symbols_heard * SAMPLES_PER_SYMBOL), np.complex64)
    offsets = random.random(size)
    for label, modulation in enumerate(CLASSES):
        rows = np.flatnonzero(labels == label)
        points = constellation(modulation)
        choice = random.integers(len(points), size=(len(rows), symbols.shape[1]))
        symbols[rows] = points[choice]
        sent[rows] = modulate(modulation, symbols[rows], offsets[rows])
    clean = _channel(sent[:, -(samples + TAPS - 1) :], random)
    noise = _complex_normal(clean.shape, random)
    # The noise fills the whole band, as wide as the sampling rate.
    noise *= np.sqrt(_mean_power(clean) / _ratio(decibels)[:, None])
    return Signals(labels, decibels, symbols, clean, noise)


def draw_cells(size, random):
    """Labels and decibels of each example, balanced and in random order."""
    places = random.permutation(size)
    # 8 and 11 have no common factor, so 88 places in a row have all pairs.
    labels = (places % len(CLASSES)).astype(np.int32)
    return labels, SNRS[places % len(SNRS)].astype(np.int32)


@functools.cache
def constellation(modulation):
    """Points of a modulation, of unit mean power; ±1 for GFSK and CPFSK."""
    if modulation in FSK_INDEX:
        points = np.array([-1.0, 1.0])
    elif modulation.endswith("PSK"):
        order = {"BPSK": 2, "QPSK": 4, "8PSK": 8}[modulation]
        points = np.exp(2j * np.pi * np.arange(order) / order)
    elif modulation.endswith("PAM"):
        points = _levels(4)
    else:
        side = {"16QAM": 4, "64QAM": 8}[modulation]
        points = np.add.outer(_levels(side), 1j * _levels(side)).ravel()
    return (points / np.sqrt(np.mean(np.abs(points) ** 2))).astype(np.complex64)


def _levels(count):
    return np.arange(count) * 2.0 - (count - 1)


def modulate(modulation, symbols, offsets):
    """Symbols `(n, s)` → samples `(n, 8 (s - 11))` of unit mean power.

    Args:
        modulation: One of `CLASSES`.
        symbols: Points of its `constellation`.
        offsets: Delays `(n,)`, in symbols.
    """
    # Times of the samples of one symbol, for the pulses that may reach them.
    phases = np.arange(SAMPLES_PER_SYMBOL) / SAMPLES_PER_SYMBOL
    reach = SPAN // 2 - np.arange(SPAN)
    times = reach[:, None] + phases - offsets[:, None, None]
    if modulation not in FSK_INDEX:
        return _overlap(symbols, root_raised_cosine(times))
    # How far each symbol turns the phase from one sample to the next.
    turn = phase_pulse(modulation, times)
    turn -= phase_pulse(modulation, times - 1 / SAMPLES_PER_SYMBOL)
    steps = _overlap(symbols.real, np.pi * FSK_INDEX[modulation] * turn)
    return np.exp(1j * np.cumsum(steps, axis=1)).astype(np.complex64)


def _overlap(symbols, pulses):
    """Sum of the pulses of all symbols: a convolution, one phase at a time."""
    windows = np.lib.stride_tricks.sliding_window_view(symbols, SPAN, axis=1)
    samples = windows @ pulses.astype(np.float32)
    return samples.reshape(len(symbols), windows.shape[1] * SAMPLES_PER_SYMBOL)


def root_raised_cosine(times):
    """The pulse of unit energy, at times in symbols; β is the roll-off.

    `[sin(π t (1 - β)) + 4 β t cos(π t (1 + β))] / [π t (1 - (4 β t)²)]`, and its limits
    at 0 and ±1 / (4 β).
    """
    times = np.asarray(times, float)
    slope = 4 * ROLL_OFF * times
    numerator = np.sin(np.pi * times * (1 - ROLL_OFF))
    numerator += slope * np.cos(np.pi * times * (1 + ROLL_OFF))
    denominator = np.pi * times * (1 - slope**2)
    at_zero = np.abs(times) < 1e-6
    at_pole = np.abs(np.abs(slope) - 1) < 1e-6
    denominator[at_zero | at_pole] = 1
    pulse = numerator / denominator
    pulse[at_zero] = 1 - ROLL_OFF + 4 * ROLL_OFF / np.pi
    angle = np.pi / (4 * ROLL_OFF)
    limit = (1 + 2 / np.pi) * np.sin(angle) + (1 - 2 / np.pi) * np.cos(angle)
    pulse[at_pole] = ROLL_OFF / np.sqrt(2) * limit
    return pulse


def phase_pulse(modulation, times):
    """Share of its turn that a symbol has made, from 0 to 1; times in symbols.

    CPFSK turns evenly while the symbol lasts. GFSK has that smoothed by a Gaussian
    whose power has fallen by half at `BANDWIDTH_TIME` cycles a symbol.
    """
    if modulation == "CPFSK":
        return np.clip(times, 0, 1)
    spread = np.sqrt(np.log(2)) / (2 * np.pi * BANDWIDTH_TIME)

    def ramp(times):
        density = np.exp(-((times / spread) ** 2) / 2) / np.sqrt(2 * np.pi)
        return times * scipy.special.ndtr(times / spread) + spread * density

    return ramp(times) - ramp(times - 1)


def _channel(sent, random):
    """Echoes, then a frequency offset and a phase; the first samples are used up."""
    size, samples = len(sent), sent.shape[1] - (TAPS - 1)
    taps = _taps(size, random)
    received = np.zeros((size, samples), np.complex64)
    for tap in range(TAPS):
        start = TAPS - 1 - tap
        received += taps[:, tap, None] * sent[:, start : start + samples]
    offset = random.uniform(-MAX_FREQUENCY_OFFSET, MAX_FREQUENCY_OFFSET, (size, 1))
    turn = random.random((size, 1)) + offset * np.arange(samples)
    return received * np.exp(2j * np.pi * turn.astype(np.float32))


def _taps(size, random):
    """Filters of the channel `(n, 8)`: each path's gain, delayed by a sinc."""
    gains = _complex_normal((size, len(PATH_DELAYS)), random)
    gains[:, 0] /= np.sqrt(1 + RICIAN_FACTOR)
    gains[:, 0] += np.sqrt(RICIAN_FACTOR / (1 + RICIAN_FACTOR))
    paths = np.sinc(np.arange(TAPS) - PATH_DELAYS[:, None])
    return gains @ (PATH_MAGNITUDES[:, None] * paths).astype(np.complex64)


def _complex_normal(shape, random):
    """Complex64 of unit mean power, circular."""
    parts = random.standard_normal((*shape, 2), np.float32) * np.float32(0.5**0.5)
    return parts.view(np.complex64)[..., 0]


def _mean_power(signals):
    return np.mean(signals.real**2 + signals.imag**2, axis=1, keepdims=True)


def _ratio(decibels):
    return np.float32(10) ** (decibels / np.float32(10))


def _size_and_seed(
    split,
    fold=0,
    n_train=20_000,
    n_validation=4_000,
    n_test=6_000,
    samples=SAMPLES,
):
    sizes = {"train": n_train, "validation": n_validation, "test": n_test}
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {SPLITS}. Received: split={split!r}")
    _check_whole("fold", fold, 0)
    _check_whole("samples", samples, 1)
    for name, size in sizes.items():
        _check_whole(f"n_{name}", size, 1)
    return sizes[split], np.random.SeedSequence([fold, SPLITS.index(split)])


def _check_whole(name, value, lowest):
    if (
        not isinstance(value, numbers.Integral)
        or isinstance(value, bool)
        or value < lowest
    ):
        raise ValueError(
            f"`{name}` must be an integer, {lowest} or more. Received: {name}={value!r}"
        )
