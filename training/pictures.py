"""Pictures of scores: by signal-to-noise ratio, by class, and by compression."""

import numpy as np


def accuracy_per_snr(labels, predictions, snr):
    """Share of right predictions at each signal-to-noise ratio.

    Args:
        labels, predictions: Classes `(n,)`.
        snr: Ratios `(n,)` in decibels.

    Returns:
        The ratios that occur, ascending, and the accuracies in percent.
    """
    labels, predictions, snr = _equally_long(
        labels=labels, predictions=predictions, snr=snr
    )
    values, places = np.unique(snr, return_inverse=True)
    right = np.bincount(places, labels == predictions, len(values))
    return values, 100 * right / np.bincount(places)


def confusion(labels, predictions, n):
    """Counts `(n, n)`: row the true class, column the predicted one.

    Args:
        labels, predictions: Classes `(m,)`, integers from 0 to `n - 1`.
        n: Number of classes.
    """
    labels, predictions = _equally_long(labels=labels, predictions=predictions)
    for name, classes in (("labels", labels), ("predictions", predictions)):
        if classes.size and not (
            np.issubdtype(classes.dtype, np.integer)
            and classes.min() >= 0
            and classes.max() < n
        ):
            raise ValueError(
                f"`{name}` must be integers from 0 to {n - 1}; of logits, take the "
                f"argmax. Received: {name} of type {classes.dtype} from "
                f"{classes.min()} to {classes.max()}"
            )
    counts = np.zeros((n, n), int)
    # Classes of an empty list have a float type.
    np.add.at(counts, (labels.astype(int), predictions.astype(int)), 1)
    return counts


def accuracy_by_snr(curves, path, title):
    """Draws accuracy against signal-to-noise ratio.

    Args:
        curves: Name → `(snr, accuracy)` or `(snr, accuracy, error)`: arrays of
            decibels, percent, and standard errors in percent.
        path: Where to save the picture.
        title: Title of the picture.
    """
    if not curves:
        raise ValueError("`curves` must hold at least one curve. Received: none")
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    markers = "osD^vP*Xdph<>"
    for number, (name, (snr, accuracy, *error)) in enumerate(curves.items()):
        axes.errorbar(
            snr,
            accuracy,
            error[0] if error else None,
            marker=markers[number % len(markers)],
            markersize=5,
            capsize=2,
            label=name,
        )
    axes.set_xticks(np.unique(np.concatenate([curve[0] for curve in curves.values()])))
    axes.set_xlabel("signal-to-noise ratio, dB")
    axes.set_ylabel("accuracy, %")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    _save(figure, path)


def score_by_compression(curves, path, metric="accuracy"):
    """Draws the score after fine-tuning against the factor of compression.

    Args:
        curves: Name → list of `tradeoff.Point`.
        path: Where to save the picture.
        metric: What scores are.
    """
    from matplotlib import ticker

    figure, axes = _pyplot().subplots(figsize=(9, 5), layout="constrained")
    markers = "osD^vP*Xdph<>"
    for number, (name, points) in enumerate(curves.items()):
        points = sorted(points, key=lambda point: point.compression[0])
        colour = f"C{number % 10}"
        axes.errorbar(
            [point.compression[0] for point in points],
            [point.after[0] for point in points],
            [point.after[1] or 0 for point in points],
            marker=markers[number % len(markers)],
            markersize=6,
            capsize=2,
            color=colour,
            label=name,
        )
        axes.axhline(points[0].before[0], linestyle=":", linewidth=1, color=colour)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("×{x:g}")
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xlabel("compression: parameters by those left")
    axes.set_ylabel(f"test {metric}, %; bars: standard errors; dotted: before")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _save(figure, path)


def confusion_matrix(matrix, classes, path, title):
    """Draws counts as percent of each true class.

    Args:
        matrix: Counts as `confusion` gives them.
        classes: Names of the classes.
        path: Where to save the picture.
        title: Title of the picture.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(classes), len(classes)):
        raise ValueError(
            f"`matrix` must have a row and a column for each of the {len(classes)} "
            f"classes. Received: shape {matrix.shape}"
        )
    # A class without examples has a row of zeros.
    shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure, axes = _pyplot().subplots(figsize=(8, 4.5), layout="constrained")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for row, column in np.ndindex(shares.shape):
        share = shares[row, column]
        # Zeros would hide the rest.
        if round(share):
            colour = "white" if share > 55 else "black"
            text = f"{share:.0f}"
            axes.text(column, row, text, ha="center", va="center", color=colour)
    places = range(len(classes))
    axes.set_xticks(places, classes)
    axes.set_yticks(places, classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title)
    figure.colorbar(image, label="% of the true class")
    _save(figure, path)


def _equally_long(**arrays):
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(s) != 1 for s in shapes.values()):
        names = " and ".join(f"`{name}`" for name in arrays)
        raise ValueError(
            f"{names} must be lists of one length, with one entry for each example. "
            f"Received: shapes {shapes}"
        )
    return arrays.values()


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    _pyplot().close(figure)
