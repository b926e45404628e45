"""Pictures of which notes sound when."""

import numpy as np

from cvzoo import figures

# Notes that are shown above and below those that sound, and what counts as sounding.
_MARGIN, _HEARD = 3, 0.5


def draw(probabilities, times, notes, path, truth=None, title=""):
    """Draws what a network hears, below what is played if that is known.

    Args:
        probabilities: `(times, notes)`, from 0 to 1: `sigmoid` of a network's logits.
        times: Seconds `(times,)`, rising, equally far apart.
        notes: Names of the notes, lowest first.
        path: Where to save the picture; the suffix tells its kind.
        truth: Which notes sound, 0 or 1, `(times, notes)`; `None` if it is not known.
        title: Title of the picture.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: Shapes do not fit together.
    """
    rolls = {"network": np.asarray(probabilities)}
    if truth is not None:
        rolls = {"score": np.asarray(truth), **rolls}
    times = np.asarray(times)
    for name, roll in rolls.items():
        if roll.shape != (len(times), len(notes)) or len(times) < 2:
            raise ValueError(
                f"The roll of the {name} must be (times, notes), "
                f"{(len(times), len(notes))}, of two times or more. "
                f"Received: shape {roll.shape}"
            )
    lowest, highest = _range(rolls.values())
    figure, axes = figures.new_figure(10, 1 + 2.5 * len(rolls), rows=len(rolls))
    axes = np.atleast_1d(axes)
    step = times[1] - times[0]
    extent = (times[0] - step / 2, times[-1] + step / 2, lowest - 0.5, highest + 0.5)
    octaves = [
        n for n in range(lowest, highest + 1) if notes[n].rstrip("-0123456789") == "C"
    ]
    places = octaves or [lowest, highest]
    for one, (name, roll) in zip(axes, rolls.items(), strict=True):
        image = one.imshow(
            roll[:, lowest : highest + 1].T,
            **{"cmap": "Greys", "vmin": 0, "vmax": 1, "aspect": "auto"},
            **{"origin": "lower", "extent": extent, "interpolation": "nearest"},
        )
        one.set_yticks(places, [notes[n] for n in places])
        one.set_ylabel(name)
        one.grid(axis="y", alpha=0.4)
    axes[0].set_title(title)
    axes[-1].set_xlabel("time, s")
    figure.colorbar(image, ax=list(axes), label="probability")
    return figures.save(figure, path)


def _range(rolls):
    """Lowest and highest note to show."""
    n = next(iter(rolls)).shape[1]
    heard = np.flatnonzero(np.any([roll.max(axis=0) >= _HEARD for roll in rolls], 0))
    if not len(heard):
        return 0, n - 1
    return max(heard[0] - _MARGIN, 0), min(heard[-1] + _MARGIN, n - 1)
