"""Notes from probabilities over time."""

import numpy as np
import pytest

from cvzoo import sounding
from cvzoo.sounding import Note

NAMES = ["C4", "D4"]
TIMES = np.array([0.0, 0.5, 1.0, 1.5])


def test_notes_last_while_they_are_probable():
    roll = np.array([[0.9, 0.1], [0.6, 0.5], [0.2, 0.8], [0.7, 0.7]])
    assert sounding.notes(roll, TIMES, NAMES) == [
        Note(0.0, 0.75, "C4", 0.9),
        Note(0.25, 1.75, "D4", 0.8),
        Note(1.25, 1.75, "C4", 0.7),
    ]


def test_silence_has_no_notes():
    assert sounding.notes(np.zeros((4, 2)), TIMES, NAMES) == []


def test_notes_are_as_probable_as_asked():
    roll = np.array([[0.4, 0.2]])
    (note,) = sounding.notes(roll, TIMES[:1], NAMES, least=0.3)
    assert (note.name, note.probability) == ("C4", pytest.approx(0.4))
