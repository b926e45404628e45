"""SYNTHETIC recordings in the formats that MusicNet is published in.

Simple tones of random notes, for tests, quick tests and benchmarks. They need no files
of others, and say nothing about music.
"""

import csv
import dataclasses
import io
import tarfile
import tempfile
from pathlib import Path

import h5py
import numpy as np
import scipy.io.wavfile

from training.data.musicnet_recordings import PUBLISHED_HERTZ, TEST, VALIDATION

# The ten recordings that the published archive keeps apart; three of them are `TEST`.
ARCHIVE_TEST = (*TEST, "2298", "2191", "2556", "2416", "2628", "1759", "2106")
# Six for training, one of them from the archive's test data; two for validation.
NAMES = ("1727", "1788", "2075", "2186", "2202", "2628", *VALIDATION[:2], TEST[0])
HEADER = (
    *("start_time", "end_time", "instrument", "note"),
    *("start_beat", "end_beat", "note_value"),
)
METADATA_HEADER = (
    *("id", "composer", "composition", "movement", "ensemble"),
    *("source", "transcriber", "catalog_name", "seconds"),
)
# A piano, in the published labels, which count MIDI programs from 1.
INSTRUMENT = 1
VOICES, NOTE_SECONDS, RESTS = 2, (0.1, 0.5), 0.2


@dataclasses.dataclass(frozen=True)
class Synthetic:
    """One recording.

    Attributes:
        name: Its number.
        sound: float32 `(samples,)` at 44.1 kHz.
        notes: First sample, first sample after it, and MIDI number of each note, int64
            `(notes, 3)`.
    """

    name: str
    sound: np.ndarray
    notes: np.ndarray


def recording(name, seconds=2.5):
    """A recording of a few seconds; the same name gives the same one.

    Each of two voices plays one note after the other, of 0.1 to 0.5 seconds; one in
    five is a rest.
    """
    random = np.random.default_rng(int(name))
    samples = int(seconds * PUBLISHED_HERTZ)
    sound, notes = np.zeros(samples, np.float32), []
    for _ in range(VOICES):
        begin = 0
        while begin < samples:
            length = int(random.uniform(*NOTE_SECONDS) * PUBLISHED_HERTZ)
            end = min(begin + length, samples)
            if random.random() >= RESTS:
                note = int(random.integers(36, 96))
                sound[begin:end] += tone(note, end - begin)
                notes.append((begin, end, note))
            begin = end
    return Synthetic(name, sound, np.array(sorted(notes), np.int64))


def tone(note, samples):
    """A note with two overtones that fades, float32 `(samples,)`; A4 has 440 Hz."""
    seconds = np.arange(samples) / PUBLISHED_HERTZ
    hertz = 440 * 2 ** ((note - 69) / 12)
    partials = [
        np.sin(2 * np.pi * hertz * order * seconds) / order for order in (1, 2, 3)
    ]
    return (0.2 * np.exp(-2 * seconds) * np.sum(partials, axis=0)).astype(np.float32)


def write(folder, recordings=None):
    """Writes the archive and its table into a folder.

    Args:
        folder: Folder to make, or to write into.
        recordings: Iterable of `Synthetic`. Defaults to nine of them.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as unpacked:
        write_unpacked(unpacked, recordings)
        with tarfile.open(folder / "musicnet.tar.gz", "w:gz") as archive:
            archive.add(unpacked, arcname="musicnet")
        metadata = Path(unpacked, "musicnet_metadata.csv")
        (folder / metadata.name).write_bytes(metadata.read_bytes())


def write_unpacked(folder, recordings=None):
    """Writes what the archive holds into a folder, and the table of recordings.

    Args:
        folder, recordings: As of `write`.
    """
    rows = []
    for one in _or_default(recordings):
        part = "test" if one.name in ARCHIVE_TEST else "train"
        for kind in ("data", "labels"):
            Path(folder, f"{part}_{kind}").mkdir(parents=True, exist_ok=True)
        path = Path(folder, f"{part}_data", f"{one.name}.wav")
        scipy.io.wavfile.write(path, PUBLISHED_HERTZ, one.sound)
        path = Path(folder, f"{part}_labels", f"{one.name}.csv")
        path.write_text(_table(HEADER, map(_label, one.notes)), encoding="utf-8")
        seconds = len(one.sound) // PUBLISHED_HERTZ
        about = ("Nobody", "Random notes", f"No. {one.name}", "Sines")
        rows.append((one.name, *about, "synthetic", "synthetic", "", seconds))
    path = Path(folder, "musicnet_metadata.csv")
    path.write_text(_table(METADATA_HEADER, rows), encoding="utf-8")


def write_h5(path, recordings=None):
    """Writes recordings as the published `musicnet.h5` has them.

    Args:
        path: File to write.
        recordings: As of `write`.
    """
    kinds = [("start_time", "<i8"), ("end_time", "<i8"), ("note_id", "<i8")]
    with h5py.File(path, "w") as file:
        for one in _or_default(recordings):
            labels = np.empty(len(one.notes), kinds)
            for (field, _), column in zip(kinds, one.notes.T, strict=True):
                labels[field] = column
            file[f"id_{one.name}/data"] = one.sound
            file[f"id_{one.name}/labels"] = labels


def _or_default(recordings):
    return map(recording, NAMES) if recordings is None else recordings


def _label(note):
    """A row of the csv of a recording; beats are seconds here."""
    begin, end, number = note.tolist()
    beats = (f"{time / PUBLISHED_HERTZ:.3f}" for time in (begin, end - begin))
    return begin, end, INSTRUMENT, number, *beats, "Quarter"


def _table(header, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()
