"""Which notes sound in a wav file? Needs numpy and ai-edge-litert, and no TensorFlow.

    cvzoo export musicnet_deep_complex_vd_chorales notes --format litert
    python hear_notes.py notes recording.wav

The file must be 16-bit PCM at 11 000 samples a second, for example from
`ffmpeg -i FILE -ac 1 -ar 11000 -c:a pcm_s16le recording.wav`.
"""

import sys
import time
import wave

import numpy as np
from ai_edge_litert.interpreter import Interpreter

HERTZ, WINDOW, STRIDE = 11_000, 4096, 1024
# The loudest sample of training sounds.
PEAK = 0.9


def windows_of(path):
    """Overlapping windows of a recording, float32 `(windows, 4096)`."""
    with wave.open(path, "rb") as file:
        stated = file.getnchannels(), file.getsampwidth(), file.getframerate()
        if stated != (1, 2, HERTZ):
            sys.exit(f"{path} must be mono, 2 bytes, {HERTZ} hertz. Received: {stated}")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    if len(samples) < WINDOW or not samples.any():
        sys.exit(f"{path} must have {WINDOW} samples of sound at least.")
    sound = samples.astype(np.float32)
    sound *= PEAK / np.abs(sound).max()
    return np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::STRIDE]


def main(folder, path):
    """Prints the notes of each window, and what that took."""
    network = Interpreter(f"{folder}/model.tflite", num_threads=1)
    run = network.get_signature_runner()
    (given,), (taken,) = run.get_input_details(), run.get_output_details()
    with open(f"{folder}/labels.txt", encoding="utf-8") as file:
        names = file.read().splitlines()
    times = []
    for place, window in enumerate(windows_of(path)):
        start = time.perf_counter()
        (scores,) = run(**{given: np.ascontiguousarray(window[None])})[taken]
        times.append(time.perf_counter() - start)
        heard = [name for name, score in zip(names, scores, strict=True) if score > 0]
        middle = (place * STRIDE + WINDOW / 2) / HERTZ
        print(f"{middle:7.2f} s  {' '.join(heard)}")
    print(
        f"{1000 * np.median(times):.2f} ms a window of {1000 * STRIDE / HERTZ:.0f} ms"
    )
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            peak = int(file.read().partition("VmHWM:")[2].split()[0])
        print(f"{peak / 1024:.0f} MiB of memory, Python and numpy included")
    except OSError:
        pass  # Linux alone tells.


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: python hear_notes.py FOLDER RECORDING.wav")
    main(*sys.argv[1:])
