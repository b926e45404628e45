"""Which kind of file a preset's network can be run on. Needs no numpy."""

import dataclasses
import math

from cvzoo.input_files import InputFileError

# Kind of input → the files that hold it.
FILES = {
    "sound": "a PCM wav file",
    "signal": "a .npy file of complex IQ samples",
    "image": "a .npy file of images",
}
# How they are made of others.
_HOW = {
    "sound": "ffmpeg -i FILE -c:a pcm_s16le NEW.wav",
    "signal": "numpy.save('iq.npy', numpy.fromfile(FILE, 'complex64')), of a raw file",
    "image": "numpy.save('image.npy', numpy.asarray(PIL.Image.open(FILE)))",
}
# What files begin with → what they are.
_BEGINNINGS = {
    b"RIFF": "a wav file",
    b"\x93NUMPY": "a .npy file",
    b"PK\x03\x04": "an archive, such as .npz",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
}
_WANTED = {"sound": b"RIFF", "signal": b"\x93NUMPY", "image": b"\x93NUMPY"}


@dataclasses.dataclass(frozen=True)
class Taken:
    """What a network takes, one example of it.

    Attributes:
        kind: One of `FILES`.
        shape: Of an example.
        range: Lowest and highest value, or `None` if it is not known.
        sample_rate: Of sound, in hertz.
    """

    kind: str
    shape: tuple
    range: tuple | None = None
    sample_rate: float | None = None


def taken(name, inputs):
    """What a preset's network takes, by the shape of its input.

    Sound has the shape `(samples,)` and a sample rate; a signal `(samples, 2)`, I and
    Q; an image `(height, width, 1)`, or 3 channels.

    Args:
        name: Of the preset, for messages.
        inputs: For each a dictionary: `name`, `shape`, `dtype`, and what the manifest
            tells, `range` and `sample_rate`.

    Raises:
        InputFileError: No kind of file fits.
    """
    if len(inputs) != 1:
        raise InputFileError(
            f"`cvzoo run` feeds networks of one input. {name} has {len(inputs)}: "
            f"{[one['name'] for one in inputs]}. {_BY_HAND}"
        )
    (one,) = inputs
    shape = tuple(one["shape"])
    rate, limits = one["sample_rate"], one["range"]
    is_fixed = None not in shape and math.prod(shape) > 0
    if is_fixed and one["dtype"].startswith("float"):
        if len(shape) == 1 and rate is not None:
            return Taken("sound", shape, limits, rate)
        if len(shape) == 2 and shape[1] == 2 and rate is None:
            return Taken("signal", shape)
        if len(shape) == 3 and shape[2] in (1, 3):
            return Taken("image", shape, limits)
    raise InputFileError(
        f"`cvzoo run` feeds sound of (samples,) whose sample rate the preset says, IQ "
        f"signals of (samples, 2), and images of (height, width, 1 or 3). {name} takes "
        f"{one['dtype']} of {shape}, sample rate {rate}. {_BY_HAND}"
    )


def check_file(name, taken, path):
    """Refuses a file of another type than a preset's network takes.

    Args:
        name: Of the preset, for messages.
        taken: What it takes, a `Taken`.
        path: Of the file. One that cannot be read passes.
    """
    try:
        with open(path, "rb") as file:
            begin = file.read(8)
    except OSError:
        return
    if begin.startswith(_WANTED[taken.kind]):
        return
    found = next(
        (what for key, what in _BEGINNINGS.items() if begin.startswith(key)),
        "of another type",
    )
    raise InputFileError(
        f"{path} is {found}; {name} takes {FILES[taken.kind]}. To make one: "
        f"{_HOW[taken.kind]}"
    )


_BY_HAND = "Run it in Python: `cvzoo.from_preset(name).predict(inputs)`."
