"""Piano rolls: what is drawn, and where."""

import numpy as np
import pytest

from cvzoo import figures, piano_roll

NOTES = [f"{name}{octave}" for octave in (3, 4, 5) for name in ("C", "C#", "D", "B")]


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Axes of pictures that were saved."""
    kept = []
    save = figures.save

    def watched(figure, path):
        kept.extend(figure.axes)
        return save(figure, path)

    monkeypatch.setattr(figures, "save", watched)
    return kept


def rolls():
    truth = np.zeros((5, 12))
    truth[1:3, 4] = 1  # C4
    heard = np.full((5, 12), 0.1)
    heard[1:4, 5] = 0.7  # C#4
    return truth, heard


def test_the_network_is_drawn_below_the_truth(drawn, tmp_path):
    truth, heard = rolls()
    times = 0.5 + 0.25 * np.arange(5)
    path = tmp_path / "new" / "roll.png"
    assert piano_roll.draw(heard, times, NOTES, path, truth, "a title") == path
    assert path.read_bytes().startswith(b"\x89PNG")
    score, network, _ = drawn
    assert score.get_title() == "a title"
    assert score.get_position().y0 > network.get_position().y0
    # Three notes more on each side than those that sound.
    for axes, roll in ((score, truth), (network, heard)):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), roll[:, 1:9].T)
        np.testing.assert_allclose(image.get_extent(), (0.375, 1.625, 0.5, 8.5))
        assert image.origin == "lower"
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert list(zip(axes.get_yticks(), labels, strict=True)) == [
            (4, "C4"),
            (8, "C5"),
        ]


def test_silence_shows_all_notes(drawn, tmp_path):
    _, heard = rolls()
    piano_roll.draw(0 * heard, np.arange(5), NOTES, tmp_path / "roll.svg")
    network, _ = drawn
    assert network.images[0].get_array().shape == (12, 5)


@pytest.mark.parametrize(
    ("times", "notes", "message"),
    [
        (4, 12, r"of the score must be .* \(4, 12\), .* Received: shape \(5, 12\)"),
        (5, 11, r"\(5, 11\), .* Received: shape \(5, 12\)"),
    ],
)
def test_wrong_shapes_are_told(times, notes, message, tmp_path):
    truth, heard = rolls()
    path = tmp_path / "roll.png"
    with pytest.raises(ValueError, match=message):
        piano_roll.draw(heard, np.arange(times), NOTES[:notes], path, truth)
    assert not path.exists()
