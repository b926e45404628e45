"""Pictures of reports. matplotlib is no dependency, so it is imported when drawing."""

from pathlib import Path


def new_figure(width, height, columns=1, rows=1):
    """A matplotlib figure of some inches, and its axes; an array of several."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'Drawing needs matplotlib: pip install "cvzoo[plots]"'
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns)


def set_times_scale(axes):
    """A logarithmic vertical axis with ticks such as ×1, ×2, ×5, ×10."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("×{x:g}")


def legend_beside(figure, looks):
    """A legend to the right of all axes.

    Args:
        figure: A figure of `new_figure`.
        looks: Name → colour and marker.
    """
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", label=name, **look) for name, look in looks.items()
    ]
    figure.legend(handles=handles, loc="outside right center", fontsize="small")


def save(figure, path):
    """Saves a figure, its folder made if need be; the kind is told by the suffix."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
