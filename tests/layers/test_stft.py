"""The short-time Fourier transform and its inverse, to the edge."""

import keras
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from cvzoo.layers import STFT, InverseSTFT, ToComplex
from tests.helpers import as_complex, check_layer, random_pair


def signal_of(length, seed=0):
    return np.random.default_rng(seed).normal(size=(2, length)).astype(np.float32)


@settings(max_examples=12)
@given(
    length=st.sampled_from([1, 2, 7, 31, 64, 97, 100]),
    frames=st.sampled_from([(16, 4), (16, 8), (15, 5), (9, 2)]),
    window=st.sampled_from(["hann", "hamming"]),
)
def test_every_sample_comes_back_the_first_and_last_too(length, frames, window):
    arguments = dict(zip(("frame_length", "frame_step"), frames, strict=True))
    arguments |= {"fft_length": 20, "window": window}
    signal = signal_of(length)
    pair = STFT(**arguments)(signal)
    found = InverseSTFT(**arguments, length=length)(pair)
    np.testing.assert_allclose(np.asarray(found), signal, atol=1e-5)


@pytest.mark.parametrize("window", ["hann", "hamming"])
def test_frames_are_numpys(window):
    layer = STFT(frame_length=12, frame_step=5, fft_length=16, window=window)
    signal = signal_of(23)
    found = as_complex(layer(signal))
    padded = np.concatenate([np.zeros((2, 7)), signal, np.zeros((2, 40))], axis=1)
    weights = scipy.signal.get_window(window, 12, fftbins=True)
    for frame in range(found.shape[1]):
        part = padded[:, 5 * frame : 5 * frame + 12] * weights
        np.testing.assert_allclose(found[:, frame], np.fft.rfft(part, 16), atol=1e-4)
    # A frame more would see no sample at all.
    assert 5 * found.shape[1] >= 7 + 23


# SciPy says that it cannot tell the very first sample.
@pytest.mark.filterwarnings("ignore:NOLA condition failed")
def test_the_inverse_is_scipys():
    arguments = {"frame_length": 16, "frame_step": 4}
    frames = (12 + 40 + 3) // 4
    pair = random_pair(2, frames, 9)
    # Real signals have real first and last bins.
    pair[1][..., [0, -1]] = 0
    found = InverseSTFT(**arguments, length=40)(pair)
    window = scipy.signal.get_window("hann", 16, fftbins=True)
    spectrum = np.moveaxis(as_complex(pair), 1, 2) / window.sum()
    _, expected = scipy.signal.istft(
        spectrum, window=window, nperseg=16, noverlap=12, boundary=False
    )
    np.testing.assert_allclose(
        np.asarray(found)[:, :36], expected[:, 12 : 12 + 36], atol=1e-4
    )


def test_keras_own_front_end_is_inverted_where_its_windows_reach():
    length, frame, step = 61, 16, 4
    signal = signal_of(length)
    front = keras.layers.STFTSpectrogram(
        mode="stft",
        frame_length=frame,
        frame_step=step,
        fft_length=frame,
        periodic=True,
    )
    pair = ToComplex("concatenated")(front(signal[..., None]))
    # Keras' "density" scaling.
    scale = np.sqrt(np.sum(scipy.signal.get_window("hann", frame) ** 2))
    pair = tuple(part * scale for part in pair)
    layer = InverseSTFT(frame, step, length=length, center=False)
    found = np.asarray(layer(pair))
    reached = (length - frame) // step * step + frame
    np.testing.assert_allclose(found[:, 1:reached], signal[:, 1:reached], atol=1e-4)
    np.testing.assert_array_equal(found[:, 0], 0)
    np.testing.assert_array_equal(found[:, reached:], 0)


def test_the_transform_does_what_layers_do(tmp_path):
    check_layer(lambda: STFT(8, 4), signal_of(21), tmp_path)


def test_the_inverse_does_what_layers_do(tmp_path):
    pair = random_pair(2, 7, 5)
    check_layer(lambda: InverseSTFT(8, 4, length=21), pair, tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: STFT(8, 9), "frame_step ≤ frame_length"),
        (lambda: STFT(8, 4, fft_length=4), "frame_step ≤ frame_length"),
        (lambda: STFT(8, 4, window="kaiser"), "`window` must be one of"),
        (lambda: STFT(8, 4)(np.zeros((2, 8, 1), "float32")), r"\(batch, length\)"),
        (lambda: STFT(8, 4, center=False)(signal_of(5)), "use center=True"),
        (lambda: InverseSTFT(8, 4), "`length` must be a positive integer"),
        (
            lambda: InverseSTFT(8, 4, length=21)(random_pair(2, 3, 5)),
            r"\(batch, 7, 5\)",
        ),
    ],
)
def test_what_cannot_be_transformed_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
