"""Bach's chorales as lists of notes, read from the files of the package music21.

The files are MusicXML, and are read where they lie: no note of them is kept in this
repository (`works` has their notices). music21 itself reads them, too, but takes
tens of times as long; the tests compare both.

How a score is read:

- A note that is tied to the one before is one note with it; grace notes are left out.
- Parts of transposing instruments are read at the pitch that sounds.
- A measure is as long as the longest of its parts, so that parts stay together where
  one is written too short.
- Repeats are not played: what stands within is read once, and so is each ending. Heard
  again, it would only count twice.
- A fermata is a time within the score, that of its note; performances hold it.
"""

import dataclasses
import functools
import importlib.util
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from training.data import DamagedDataError, MissingDataError

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclasses.dataclass(frozen=True)
class Score:
    """Notes of a work, by begin, then voice, then pitch.

    Attributes:
        name: What it is called.
        begins, ends: In quarter lengths from the begin of the score, float64
            `(notes,)`.
        pitches: MIDI numbers, int64 `(notes,)`.
        voices: The part each is in, int64 `(notes,)`, 0 for the uppermost one.
        holds: Where fermatas begin and end, rising, float64 `(holds, 2)`.
        voice_names: As they are printed.
    """

    name: str
    begins: np.ndarray
    ends: np.ndarray
    pitches: np.ndarray
    voices: np.ndarray
    holds: np.ndarray
    voice_names: tuple

    @classmethod
    def of(cls, name, notes, holds, voice_names):
        """That of notes `(begin, voice, pitch, end)` in any order."""
        columns = np.array(sorted(notes), float).reshape(-1, 4).T
        return cls(
            name=name,
            begins=columns[0],
            ends=columns[3],
            pitches=columns[2].astype(int),
            voices=columns[1].astype(int),
            holds=_union(holds),
            voice_names=tuple(voice_names),
        )

    def voice(self, place):
        """`(begins, ends, pitches)` of one voice."""
        is_its = self.voices == place
        return self.begins[is_its], self.ends[is_its], self.pitches[is_its]


@functools.cache
def folder():
    """Where music21 has its files of Bach.

    Raises:
        MissingDataError: music21 is not installed.
    """
    found = importlib.util.find_spec("music21")
    if found is None:
        raise MissingDataError(
            "The data set 'chorales' is rendered from scores of the package music21, "
            'which is not installed. Run `pip install ".[music]"` once.'
        )
    return Path(found.submodule_search_locations[0]) / "corpus" / "bach"


def text_of(path):
    """What a file says, as bytes; that of the score within, where it is packed.

    Raises:
        DamagedDataError: It is not there, or cannot be read.
    """
    path = Path(path)
    try:
        if path.suffix != ".mxl":
            return path.read_bytes()
        with zipfile.ZipFile(path) as packed:
            (inner,) = (
                name
                for name in packed.namelist()
                if not name.startswith("META-INF") and name != "mimetype"
            )
            return packed.read(inner)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def read(path):
    """The score in a MusicXML file, packed or not, as a `Score`.

    Raises:
        DamagedDataError: It is not there, or is none.
    """
    path = Path(path)
    try:
        root = ElementTree.fromstring(text_of(path))
        names = {
            part.get("id"): part.findtext("part-name")
            for part in root.iter("score-part")
        }
        parts = root.findall("part")
        notes, holds = _notes([_measures(part) for part in parts])
        if not notes:
            raise ValueError("there is no note in it")
    except (ElementTree.ParseError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    return Score.of(path.stem, notes, holds, [names[part.get("id")] for part in parts])


def _measures(part):
    """For each measure, its length and `(begin, end, pitch, ties, is_held)` of notes.

    Times are quarter lengths from the begin of the measure.
    """
    divisions, transposition, measures = 1, 0, []
    for measure in part.findall("measure"):
        now = begin = length = 0.0
        notes = []
        for element in measure:
            if element.tag == "attributes":
                divisions = int(element.findtext("divisions", divisions))
                if (found := element.find("transpose")) is not None:
                    transposition = int(found.findtext("chromatic"))
                    transposition += 12 * int(found.findtext("octave-change", 0))
            elif element.tag in ("backup", "forward"):
                step = int(element.findtext("duration")) / divisions
                now += step if element.tag == "forward" else -step
            elif element.tag == "note" and element.find("grace") is None:
                duration = int(element.findtext("duration")) / divisions
                if element.find("chord") is None:
                    begin, now = now, now + duration
                if (pitch := element.find("pitch")) is not None:
                    ties = {tie.get("type") for tie in element.findall("tie")}
                    is_held = element.find("notations/fermata") is not None
                    number = _midi(pitch) + transposition
                    notes.append((begin, begin + duration, number, ties, is_held))
            length = max(length, now)
        measures.append((length, notes))
    return measures


def _midi(pitch):
    octave = int(pitch.findtext("octave")) + 1
    alteration = int(pitch.findtext("alter", 0))
    return 12 * octave + _STEPS[pitch.findtext("step")] + alteration


def _notes(parts):
    """Notes `(begin, voice, pitch, end)` of all parts, and times of fermatas."""
    # All parts must have all measures.
    columns = zip(*parts, strict=True)
    lengths = [max(length for length, _ in column) for column in columns]
    starts = np.cumsum([0.0] + lengths)
    found, holds = [], []
    for voice, measures in enumerate(parts):
        tied = {}
        for start, (_, notes) in zip(starts[:-1], measures, strict=True):
            for begin, end, pitch, ties, is_held in notes:
                begin, end = float(start + begin), float(start + end)
                if is_held:
                    holds.append((begin, end))
                place = tied.pop((pitch, begin), None) if "stop" in ties else None
                if place is None:
                    place = len(found)
                    found.append((begin, voice, pitch, end))
                found[place] = (*found[place][:3], end)
                if "start" in ties:
                    tied[pitch, end] = place
    return found, holds


def _union(spans):
    """Spans `(begin, end)`, those that overlap as one: rising, `(spans, 2)`."""
    found = []
    for begin, end in sorted(spans):
        if found and begin < found[-1][1]:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([begin, end])
    return np.array(found, float).reshape(-1, 2)


def _damaged(path, what):
    return DamagedDataError(
        f"The score {path} cannot be read: {what}. Install music21 anew: "
        '`pip install --force-reinstall ".[music]"`.'
    )
