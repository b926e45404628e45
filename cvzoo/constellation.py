"""Pictures of radio signals: the plane of I and Q."""

import numpy as np

from cvzoo import figures


def draw(signals, titles, path):
    """Draws samples of signals in the complex plane, early ones dark, late ones light.

    Args:
        signals: `(signals, samples, 2)`, I and Q.
        titles: One for each.
        path: Where to save the picture; the suffix tells its kind.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed.
    """
    signals = np.asarray(signals)
    n = len(signals)
    figure, axes = figures.new_figure(0.8 + 3.8 * n, 4.2, columns=n)
    edge = 1.1 * np.abs(signals).max()
    for one, signal, title in zip(np.atleast_1d(axes), signals, titles, strict=True):
        one.plot(*signal.T, color="0.85", linewidth=0.8, zorder=1)
        points = one.scatter(*signal.T, c=np.arange(len(signal)), s=14, zorder=2)
        one.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
        one.set(title=title, xlabel="I", ylabel="Q")
        one.grid(alpha=0.3)
    figure.colorbar(points, ax=list(np.atleast_1d(axes)), label="sample")
    return figures.save(figure, path)
