"""Scores against bars read by hand, and against what music21 itself reads."""

import importlib.util
import zipfile

import numpy as np
import pytest

from training.data import DamagedDataError, MissingDataError
from training.data.chorales import scores

# A horn in F with two layers, a chord, a tie over the bar line, a grace note, and a
# first bar that is written too short; and a voice below it.
SMALL = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.0">
  <part-list>
    <score-part id="P1"><part-name>Horn</part-name></score-part>
    <score-part id="P2"><part-name>Bass</part-name></score-part>
  </part-list>
  <part id="P1">
    <measure number="1">
      <attributes>
        <divisions>2</divisions>
        <transpose><diatonic>-4</diatonic><chromatic>-7</chromatic></transpose>
      </attributes>
      <note>
        <pitch><step>C</step><octave>5</octave></pitch><duration>2</duration>
        <notations><fermata/></notations>
      </note>
      <note>
        <grace/><pitch><step>D</step><octave>5</octave></pitch>
      </note>
      <note>
        <pitch><step>E</step><octave>5</octave></pitch><duration>2</duration>
        <tie type="start"/>
      </note>
      <note>
        <chord/><pitch><step>G</step><alter>1</alter><octave>5</octave></pitch>
        <duration>2</duration>
      </note>
      <backup><duration>4</duration></backup>
      <forward><duration>1</duration></forward>
      <note>
        <pitch><step>E</step><octave>5</octave></pitch><duration>3</duration>
      </note>
    </measure>
    <measure number="2">
      <note>
        <pitch><step>E</step><octave>5</octave></pitch><duration>1</duration>
        <tie type="stop"/>
      </note>
      <note><rest/><duration>3</duration></note>
    </measure>
  </part>
  <part id="P2">
    <measure number="1">
      <attributes><divisions>4</divisions></attributes>
      <note>
        <pitch><step>B</step><alter>-1</alter><octave>2</octave></pitch>
        <duration>12</duration><notations><fermata/></notations>
      </note>
    </measure>
    <measure number="2">
      <note>
        <pitch><step>A</step><octave>2</octave></pitch><duration>8</duration>
      </note>
    </measure>
  </part>
</score-partwise>
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.xml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def notes(score):
    columns = score.begins, score.ends, score.voices, score.pitches
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_the_first_bar_of_bwv_66_6_is_what_is_printed(bach):
    score = scores.read(bach / "bwv66.6.mxl")
    assert score.voice_names == ("Soprano", "Alto", "Tenor", "Bass")
    # An upbeat of one quarter, then four quarters.
    upbeat = [(73, 0.5), (71, 0.5)], [(64, 1)], [(57, 0.5), (59, 0.5)]
    upbeat += ([(57, 0.5), (56, 0.5)],)
    bar = (
        [(69, 1), (71, 1), (73, 1), (76, 1)],
        [(66, 1), (64, 1), (64, 1), (64, 1)],
        [(61, 1), (59, 1), (57, 1), (59, 1)],
        [(54, 1), (56, 1), (57, 1), (56, 1)],
    )
    for voice in range(4):
        begins, ends, pitches = score.voice(voice)
        is_first = begins < 5
        found = zip(pitches[is_first], (ends - begins)[is_first], strict=True)
        assert list(found) == upbeat[voice] + bar[voice]
        np.testing.assert_array_equal(begins[1:], ends[:-1])
    assert score.holds[0].tolist() == [3, 4]


def test_a_small_score_is_read_as_it_sounds(small):
    score = scores.read(small)
    # A fifth below what is written: C5 is F4. Bar 2 begins after the bass's bar 1.
    assert notes(score) == [
        (0, 1, 0, 65),
        (0, 3, 1, 46),
        (0.5, 2, 0, 69),
        (1, 2, 0, 69),
        (1, 2, 0, 73),
        (3, 3.5, 0, 69),
        (3, 5, 1, 45),
    ]
    assert score.voice_names == ("Horn", "Bass")
    assert score.holds.tolist() == [[0, 3]]


def test_tied_notes_are_one(tmp_path, small):
    # Without the missing beat, the tie reaches its note.
    text = SMALL.replace("<duration>12<", "<duration>8<")
    small.write_text(text, encoding="utf-8")
    begins, ends, pitches = scores.read(small).voice(0)
    found = zip(begins, ends, pitches, strict=True)
    assert (1, 2.5, 69) in list(found)
    assert (0.5, 2) in list(zip(begins, ends, strict=True))


def test_packed_and_plain_files_are_the_same(tmp_path, small):
    packed = tmp_path / "small.mxl"
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("mimetype", "application/vnd.recordare.musicxml")
        file.writestr("META-INF/container.xml", "<container/>")
        file.writestr("small.musicxml", SMALL)
    assert notes(scores.read(packed)) == notes(scores.read(small))


@pytest.mark.parametrize(
    "name",
    # Plain; without packing; horns and timpani; strings and ties; a short score.
    ["bwv66.6.mxl", "bwv67.4.xml", "bwv130.6.mxl", "bwv8.6.mxl", "bwv248.35-3.mxl"],
)
def test_music21_reads_the_same_notes(bach, name):
    import music21

    parsed = music21.converter.parse(bach / name, forceSource=True, storePickle=False)
    expected = [
        (
            float(element.offset),
            float(element.offset + element.quarterLength),
            voice,
            pitch.midi,
        )
        for voice, part in enumerate(parsed.toSoundingPitch().parts)
        for element in part.stripTies().flatten().notes
        for pitch in element.pitches
    ]
    assert sorted(notes(scores.read(bach / name))) == sorted(expected)


def test_parts_with_bars_that_are_too_short_stay_together(bach):
    # Two bars of the voices are shorter than the trumpets'. The trumpets come in again
    # at the last chord.
    score = scores.read(bach / "bwv171.6.mxl")
    begins, _, _ = score.voice(0)
    last = [score.voice(voice)[0].max() for voice in range(4, 8)]
    assert last == [162] * 4
    assert begins[begins > 141].min() == 162


def test_without_music21_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    scores.folder.cache_clear()
    with pytest.raises(MissingDataError, match=r'pip install "\.\[music\]"'):
        scores.folder()
    scores.folder.cache_clear()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.mxl", None),
        ("cut.mxl", b"PK\x03\x04"),
        ("cut.xml", SMALL.encode()[:-40]),
        ("other.xml", b"<html/>"),
        ("bars.xml", SMALL.replace('<measure number="2">', "<x>", 1).encode()),
        ("step.xml", SMALL.replace("<step>B<", "<step>H<").encode()),
        ("duration.xml", SMALL.replace("<duration>12</duration>", "").encode()),
    ],
)
def test_files_that_are_no_scores_are_named(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedDataError, match=f"{name} cannot be read: .+"):
        scores.read(path)
