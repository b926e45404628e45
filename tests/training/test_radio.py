"""The simulated radio signals."""

import numpy as np
import pytest
import scipy.integrate
import scipy.signal
import scipy.stats

from training.data import radio

SMALL = {"n_train": 176, "n_validation": 96, "n_test": 88}
RATE = radio.SAMPLES_PER_SYMBOL
LINEAR = [name for name in radio.CLASSES if name not in radio.FSK_INDEX]


@pytest.fixture(scope="module")
def signals():
    return radio.simulate(2640, seed=5)


def rows(signals, modulation):
    return np.flatnonzero(signals.labels == radio.CLASSES.index(modulation))


def random_symbols(modulation, size=20, count=60):
    random = np.random.default_rng(1)
    return random.choice(radio.constellation(modulation), (size, count))


def test_the_data_set_has_the_promised_shapes_and_types():
    inputs, labels = next(iter(radio.load("validation", **SMALL).batch(1000)))
    assert inputs.shape == (96, 128, 2)
    assert (inputs.dtype.name, labels.dtype.name) == ("float32", "int32")


@pytest.mark.parametrize("samples", [1, 100, 512])
def test_signals_of_other_lengths_have_the_ratios_of_their_labels(samples):
    options = {**SMALL, "n_train": 1760, "samples": samples}
    inputs, labels = next(iter(radio.load("train", **options).batch(2000)))
    assert inputs.shape == (1760, samples, 2)
    np.testing.assert_allclose(np.mean(np.sum(inputs**2, -1), -1), 1, atol=1e-4)
    np.testing.assert_array_equal(labels, radio.arrays("train", **options)[1])
    signals = radio.simulate(1760, seed=7, samples=samples)
    power = [np.mean(np.abs(one) ** 2, 1) for one in (signals.clean, signals.noise)]
    expected = radio.groups("train", **options)
    assert len(expected) == 1760 and signals.clean.shape == (1760, samples)
    if samples > 1:
        found = 10 * np.log10(power[0] / power[1])
        assert abs(np.mean(found - signals.snr)) < 0.1


def test_defaults_are_twenty_four_and_six_thousand():
    sizes = [len(radio.load(split)) for split in radio.SPLITS]
    assert sizes == [20_000, 4_000, 6_000]


def test_received_signals_are_clean_ones_plus_noise_at_unit_power():
    inputs, labels = radio.arrays("test", fold=3, **SMALL)
    signals = radio.simulate(88, np.random.SeedSequence([3, 2]))
    sums = signals.clean + signals.noise
    sums /= np.sqrt(np.mean(np.abs(sums) ** 2, axis=1))[:, None]
    np.testing.assert_allclose(inputs[..., 0], sums.real, atol=1e-5)
    np.testing.assert_allclose(inputs[..., 1], sums.imag, atol=1e-5)
    np.testing.assert_array_equal(labels, signals.labels)


def test_each_signal_has_unit_mean_power():
    inputs, _ = radio.arrays("train", **SMALL)
    power = np.mean(np.sum(inputs.astype(float) ** 2, axis=-1), axis=-1)
    np.testing.assert_allclose(power, 1, rtol=1e-5)


def test_the_same_fold_gives_the_same_data():
    first, again = (radio.arrays("train", fold=2, **SMALL) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_a_split_does_not_depend_on_the_sizes_of_the_others():
    first, _ = radio.arrays("test", n_train=50, n_validation=60, n_test=70)
    again, _ = radio.arrays("test", n_train=51, n_validation=61, n_test=70)
    np.testing.assert_array_equal(first, again)


def test_splits_and_folds_share_no_symbols_and_no_signals():
    streams = [
        radio.simulate(176, np.random.SeedSequence([fold, split]))
        for fold in range(3)
        for split in range(3)
    ]
    for kind in ("symbols", "clean", "noise"):
        seen = [row.tobytes() for s in streams for row in getattr(s, kind)]
        assert len(set(seen)) == 9 * 176


def test_splits_share_no_received_signal():
    seen = [
        signal.tobytes()
        for fold in (0, 1)
        for split in radio.SPLITS
        for signal in radio.arrays(split, fold=fold, **SMALL)[0]
    ]
    assert len(set(seen)) == 2 * (176 + 96 + 88)


@pytest.mark.parametrize("size", [1, 50, 88, 1000])
def test_pairs_of_modulation_and_snr_are_balanced(size):
    options = {"n_train": size}
    _, labels = radio.arrays("train", **options)
    decibels = radio.snr("train", **options)
    counts = np.zeros((8, 11), int)
    np.add.at(counts, (labels, (decibels + 2) // 2), 1)
    assert counts.sum() == size
    for table in (counts, counts.sum(axis=0), counts.sum(axis=1)):
        assert np.ptp(table) <= 1


def test_snrs_go_from_minus_two_to_eighteen_in_steps_of_two():
    assert sorted(set(radio.snr("test", **SMALL))) == list(range(-2, 19, 2))


def test_order_of_labels_is_random():
    _, labels = radio.arrays("train", n_train=1000)
    equal_neighbours = np.mean(labels[1:] == labels[:-1])
    assert 0.05 < equal_neighbours < 0.2


def test_measured_ratios_agree_with_their_labels(signals):
    for decibels in radio.SNRS:
        at = signals.snr == decibels
        clean = np.mean(np.abs(signals.clean[at]) ** 2, axis=1)
        noise = np.mean(np.abs(signals.noise[at]) ** 2, axis=1)
        assert abs(10 * np.log10(np.mean(noise / clean)) + decibels) < 0.2


def test_noise_is_white_and_circular(signals):
    noise = signals.noise / np.std(signals.noise, axis=1, keepdims=True)
    spectrum = np.mean(np.abs(np.fft.fft(noise)) ** 2, axis=0) / 128
    np.testing.assert_allclose(spectrum, 1, atol=0.15)
    assert np.abs(np.mean(noise**2)) < 0.01


def test_groups_are_the_ratios_in_the_order_of_the_examples():
    signals = radio.simulate(88, np.random.SeedSequence([4, 2]))
    np.testing.assert_array_equal(radio.snr("test", fold=4, **SMALL), signals.snr)
    np.testing.assert_array_equal(radio.groups("test", fold=4, **SMALL), signals.snr)


@pytest.mark.parametrize(
    ("modulation", "order", "neighbour"),
    [
        # Distances of nearest neighbours at unit power: textbook values.
        ("BPSK", 2, 2.0),
        ("QPSK", 4, np.sqrt(2)),
        ("8PSK", 8, 2 * np.sin(np.pi / 8)),
        ("4PAM", 4, 2 / np.sqrt(5)),
        ("16QAM", 16, 2 / np.sqrt(10)),
        ("64QAM", 64, 2 / np.sqrt(42)),
    ],
)
def test_constellations_are_the_textbooks(modulation, order, neighbour):
    points = radio.constellation(modulation).astype(complex)
    assert points.shape == (order,)
    np.testing.assert_allclose(np.mean(np.abs(points) ** 2), 1, rtol=1e-6)
    np.testing.assert_allclose(np.mean(points), 0, atol=1e-6)
    distances = np.abs(points[:, None] - points) + 9 * np.eye(order)
    np.testing.assert_allclose(distances.min(axis=1), neighbour, rtol=1e-5)


def test_every_point_is_sent_equally_often(signals):
    for modulation in radio.CLASSES:
        sent = signals.symbols[rows(signals, modulation)].ravel()
        points = radio.constellation(modulation)
        counts = [np.sum(sent == point) for point in points]
        assert sum(counts) == sent.size
        assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_pulse_with_its_matched_filter_has_no_intersymbol_interference():
    pulse = radio.root_raised_cosine(np.arange(-40 * RATE, 40 * RATE + 1) / RATE)
    raised_cosine = np.convolve(pulse, pulse) / RATE
    at_symbols = raised_cosine[::RATE]
    centre = len(at_symbols) // 2
    np.testing.assert_allclose(at_symbols[centre], 1, atol=1e-4)
    assert np.max(np.abs(np.delete(at_symbols, centre))) < 1e-4


def test_pulse_has_the_spectrum_that_its_name_says():
    times = np.arange(-400, 400, 1 / RATE)
    spectrum = np.abs(np.fft.fft(radio.root_raised_cosine(times))) / RATE
    frequency = np.abs(np.fft.fftfreq(len(times), 1 / RATE))
    inner, outer = (1 - 0.35) / 2, (1 + 0.35) / 2
    slope = np.cos(np.pi / 0.35 * (frequency - inner))
    slope = np.sqrt(np.clip((1 + slope) / 2, 0, None))
    expected = np.where(frequency < inner, 1, np.where(frequency < outer, slope, 0))
    np.testing.assert_allclose(spectrum, expected, atol=5e-3)


@pytest.mark.parametrize("time", [0, 1 / 1.4, -1 / 1.4])
def test_pulse_is_continuous_at_the_poles_of_its_formula(time):
    at, beside = radio.root_raised_cosine(np.array([time, time + 1e-4]))
    np.testing.assert_allclose(at, beside, atol=1e-3)


def test_cut_tails_of_the_pulse_hold_little_of_its_energy():
    times = np.linspace(-radio.SPAN / 2, radio.SPAN / 2, 10_001)
    energy = scipy.integrate.trapezoid(radio.root_raised_cosine(times) ** 2, times)
    assert 0.999 < energy < 1


@pytest.mark.parametrize("modulation", ["QPSK", "64QAM"])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_linear_signals_are_sums_of_shifted_pulses(modulation, offset):
    symbols = random_symbols(modulation, size=2, count=16)
    found = radio.modulate(modulation, symbols, np.full(2, offset))
    assert found.shape == (2, 5 * RATE)
    half = radio.SPAN // 2
    for sample in range(5 * RATE):
        symbol, phase = divmod(sample, RATE)
        expected = np.zeros(2, complex)
        for place in range(symbol, symbol + radio.SPAN):
            time = symbol + half - place + phase / RATE - offset
            expected += symbols[:, place] * radio.root_raised_cosine(np.array([time]))
        np.testing.assert_allclose(found[:, sample], expected, atol=1e-5)


@pytest.mark.parametrize("modulation", LINEAR)
def test_a_matched_filter_gives_the_symbols_back(modulation):
    symbols = random_symbols(modulation)
    sent = radio.modulate(modulation, symbols, np.zeros(len(symbols)))
    half = radio.SPAN // 2
    pulse = radio.root_raised_cosine(np.arange(-half * RATE, half * RATE + 1) / RATE)
    received = scipy.signal.convolve(sent, pulse[None] / RATE, mode="valid")[:, ::RATE]
    expected = symbols[:, 2 * half :][:, : received.shape[1]]
    np.testing.assert_allclose(received, expected, atol=0.03)


@pytest.mark.parametrize("modulation", radio.CLASSES)
def test_signals_have_unit_power_before_the_channel(modulation):
    symbols = random_symbols(modulation, size=100, count=200)
    sent = radio.modulate(modulation, symbols, np.random.default_rng(2).random(100))
    np.testing.assert_allclose(np.mean(np.abs(sent) ** 2), 1, atol=0.02)


@pytest.mark.parametrize(("modulation", "expected"), [("BPSK", 1), ("QPSK", 0)])
def test_squares_tell_two_phases_from_four(modulation, expected):
    sent = radio.modulate(modulation, random_symbols(modulation), np.full(20, 0.4))
    share = np.abs(np.mean(sent**2)) / np.mean(np.abs(sent) ** 2)
    np.testing.assert_allclose(share, expected, atol=0.1)


@pytest.mark.parametrize("modulation", radio.FSK_INDEX)
def test_frequency_shift_keying_has_constant_modulus(modulation):
    sent = radio.modulate(modulation, random_symbols(modulation), np.full(20, 0.4))
    np.testing.assert_allclose(np.abs(sent), 1, rtol=1e-5)


@pytest.mark.parametrize("modulation", radio.FSK_INDEX)
def test_equal_symbols_turn_the_phase_by_the_modulation_index(modulation):
    symbols = np.ones((1, 30), np.complex64)
    sent = radio.modulate(modulation, symbols, np.array([0.7])).astype(complex)
    turn = np.angle(sent[:, RATE:] / sent[:, :-RATE])
    expected = {"GFSK": 0.8, "CPFSK": np.pi / 2}[modulation]
    np.testing.assert_allclose(turn, expected, atol=1e-4)


def test_cpfsk_is_at_a_quarter_turn_after_each_symbol():
    symbols = random_symbols("CPFSK")
    sent = radio.modulate("CPFSK", symbols, np.zeros(20)).astype(complex)
    turn = np.angle(sent[:, RATE::RATE] / sent[:, :-RATE:RATE])
    used = symbols.real[:, radio.SPAN // 2 :][:, : turn.shape[1]]
    np.testing.assert_allclose(turn, used * np.pi / 2, atol=1e-4)


def test_gfsk_turns_as_a_rectangle_smoothed_by_a_gaussian():
    # The Gaussian's power response is one half at 0.35 cycles a symbol.
    times = np.arange(-6, 6, 1e-3)
    spread = np.sqrt(np.log(2)) / (2 * np.pi * 0.35)
    gaussian = scipy.stats.norm(scale=spread).pdf(times)
    response = np.sum(gaussian * np.cos(2 * np.pi * 0.35 * times)) * 1e-3
    np.testing.assert_allclose(response**2, 0.5, atol=1e-3)
    rectangle = ((times >= 0) & (times < 1)).astype(float)
    smooth = scipy.signal.fftconvolve(rectangle, gaussian, mode="same") * 1e-3
    expected = np.cumsum(smooth) * 1e-3
    np.testing.assert_allclose(radio.phase_pulse("GFSK", times), expected, atol=3e-3)


def test_phases_are_uniform_over_examples(signals):
    # FSK starts at no phase of its own, so that the channel's is what is seen.
    at = np.concatenate([rows(signals, name) for name in radio.FSK_INDEX])
    phases = np.angle(signals.clean[at, 0]) / (2 * np.pi) + 0.5
    assert scipy.stats.kstest(phases, "uniform").pvalue > 1e-3


def test_frequency_offsets_stay_within_their_limit(monkeypatch):
    monkeypatch.setattr(radio, "PATH_MAGNITUDES", np.array([1.0, 0.0, 0.0]))
    signals = radio.simulate(1760, seed=6)
    clean = signals.clean[rows(signals, "BPSK")].astype(complex)
    # Squares of BPSK on one path turn at twice the offset.
    turn = np.angle(np.sum(clean[:, 8:] ** 2 * np.conj(clean[:, :-8] ** 2), axis=1))
    offset = turn / (2 * np.pi * 8 * 2)
    assert np.max(np.abs(offset)) < radio.MAX_FREQUENCY_OFFSET + 1e-4
    uniform = scipy.stats.uniform(
        -radio.MAX_FREQUENCY_OFFSET, 2 * radio.MAX_FREQUENCY_OFFSET
    )
    assert scipy.stats.kstest(offset, uniform.cdf).pvalue > 1e-3


def test_channel_has_the_mean_power_of_its_paths(signals):
    # White input would leave through each tap alone; the mean square of the taps.
    taps = radio._taps(40_000, np.random.default_rng(7)).astype(complex)
    expected = sum(
        (magnitude * np.sinc(np.arange(8) - delay)) ** 2
        for delay, magnitude in zip((0, 0.9, 1.7), (1, 0.8, 0.3), strict=True)
    )
    np.testing.assert_allclose(np.mean(np.abs(taps) ** 2, axis=0), expected, atol=0.02)
    # Only the first path has a steady part, four fifths of its power.
    np.testing.assert_allclose(np.abs(np.mean(taps, axis=0)[0]) ** 2, 0.8, atol=0.02)
    np.testing.assert_allclose(np.mean(taps, axis=0)[1:], 0, atol=0.02)


def test_an_example_without_channel_and_noise_is_the_sent_one(monkeypatch):
    monkeypatch.setattr(radio, "PATH_MAGNITUDES", np.array([1.0, 0.0, 0.0]))
    monkeypatch.setattr(radio, "MAX_FREQUENCY_OFFSET", 0.0)
    signals = radio.simulate(176, seed=8)
    for modulation in LINEAR:
        at = rows(signals, modulation)[0]
        symbols = np.repeat(signals.symbols[at : at + 1], 400, axis=0)
        # Its timing offset is not known: look for it.
        tried = radio.modulate(modulation, symbols, np.linspace(0, 1, 400))[:, -128:]
        clean = signals.clean[at]
        match = np.abs(tried.conj() @ clean) / np.linalg.norm(clean)
        assert np.max(match / np.linalg.norm(tried, axis=1)) > 0.9999


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "dev"}, "`split` must be one of"),
        ({"fold": -1}, "`fold` must be an integer, 0 or more"),
        ({"fold": 1.0}, "`fold` must be an integer"),
        ({"n_test": 0}, "`n_test` must be an integer, 1 or more"),
        ({"n_train": True}, "`n_train` must be an integer"),
        ({"n_validation": "9"}, "`n_validation` must be an integer"),
        ({"samples": 0}, "`samples` must be an integer, 1 or more"),
    ],
)
@pytest.mark.parametrize("function", [radio.load, radio.arrays, radio.snr])
def test_bad_arguments_are_refused(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(**{"split": "train", **options})
