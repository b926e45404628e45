"""Rows of several folds → one table, as text, Markdown and a picture."""

import dataclasses
import itertools
import re

import numpy as np
import rich.box
import rich.table

# Of the uncompressed network's score; rows below are named beside the picture only, as
# priors would leave no room for the others.
LOWEST_SHOWN = 0.5


@dataclasses.dataclass(frozen=True)
class Line:
    """The rows of one name over folds.

    Attributes:
        name: What it is.
        group: `"cvzoo"` for compressed networks, `"baseline"` otherwise.
        numbers, bytes: Means over folds.
        test: Mean test score, accuracy or average precision, in percent.
        error: Its standard error over folds; over test examples for one fold, if it
            is known.
        difference: Mean of test score less the uncompressed one's, in points.
        difference_error: Its standard error over folds, `None` for one fold.
        validation: Mean validation score, in percent, or `None`.
        units: Mean number of units of the shrunk network, or `None`.
        more: What other scores of the test data are called → mean and standard error,
            in percent.
    """

    name: str
    group: str
    numbers: float
    bytes: float
    test: float
    error: float | None
    difference: float
    difference_error: float | None
    validation: float | None
    units: float | None = None
    more: dict = dataclasses.field(default_factory=dict)


def summarize(rows_by_fold, compressed_names, n_test=None):
    """One `Line` for each name.

    Args:
        rows_by_fold: List over folds of lists of `baselines.Row`, all of the same
            names, `"uncompressed"` among them.
        compressed_names: Names that are ours and not baselines.
        n_test: Test examples in a fold, for the error of an accuracy when there is one
            fold.
    """
    tables = [{row.name: row for row in rows} for rows in rows_by_fold]
    lines = []
    for name in tables[0]:
        rows = [table[name] for table in tables]
        test = 100 * np.array([row.test for row in rows])
        plain = 100 * np.array([table["uncompressed"].test for table in tables])
        one_fold = None
        if n_test is not None:
            share = test.mean() / 100
            one_fold = 100 * float(np.sqrt(share * (1 - share) / n_test))
        lines.append(
            Line(
                name=name,
                group="cvzoo" if name in compressed_names else "baseline",
                numbers=float(np.mean([row.numbers for row in rows])),
                bytes=float(np.mean([row.bytes for row in rows])),
                test=float(test.mean()),
                error=_standard_error(test) or one_fold,
                difference=float((test - plain).mean()),
                difference_error=_standard_error(test - plain),
                validation=None
                if rows[0].validation is None
                else float(100 * np.mean([row.validation for row in rows])),
                units=None
                if rows[0].units is None
                else float(np.mean([row.units for row in rows])),
                more={
                    key: mean_and_error([100 * row.more[key] for row in rows])
                    for key in rows[0].more
                },
            )
        )
    return lines


def by_group(rows_by_fold):
    """Name → groups as numbers, mean accuracy in percent, its standard error.

    Rows without groups are left out.
    """
    tables = [{row.name: row for row in rows} for rows in rows_by_fold]
    curves = {}
    for name, row in tables[0].items():
        if row.by_group is None:
            continue
        groups = sorted(row.by_group, key=float)
        values = 100 * np.array(
            [[table[name].by_group[group] for group in groups] for table in tables]
        )
        error = None
        if len(values) > 1:
            error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        curves[name] = np.array(groups, float), values.mean(axis=0), error
    return curves


def dominating(lines, names):
    """Name → baselines that are no larger and no worse, and better in one."""
    found = {}
    for ours in lines:
        if ours.name in names:
            found[ours.name] = [
                line.name
                for line in lines
                if line.group == "baseline"
                and line.bytes <= ours.bytes
                and line.test >= ours.test
                and (line.bytes, line.test) != (ours.bytes, ours.test)
            ]
    return {name: winners for name, winners in found.items() if winners}


def _cells(line, plain_numbers, more):
    difference = plus_minus(line.difference, line.difference_error, sign="+")
    return (
        line.name,
        plus_minus(line.test, line.error),
        difference,
        *(plus_minus(*line.more[key]) if key in line.more else "" for key in more),
        f"{line.numbers:,.0f}",
        f"×{plain_numbers / line.numbers:.1f}",
        f"{line.bytes:,.0f}",
        "" if line.units is None else f"{line.units:,.0f}",
    )


def headings(metric="accuracy", more=()):
    """Those of the tables of `Line`s.

    Args:
        metric: What scores are.
        more: What other scores are called.
    """
    return (
        *("network", f"{metric} %", "difference"),
        *more,
        *("numbers", "factor", "bytes", "units"),
    )


def _more(lines):
    """What other scores of some lines are called."""
    return list(dict.fromkeys(key for line in lines for key in line.more))


def text_table(lines, losing_to, metric="accuracy"):
    """A table for the terminal; rows that a baseline dominates are bold."""
    plain = _plain_numbers(lines)
    more = _more(lines)
    rows = [_cells(line, plain, more) for line in lines]
    is_bold = [line.name in losing_to for line in lines]
    return rich_table(headings(metric, more), rows, is_bold)


def rich_table(headings, rows, is_bold=None):
    """A table for the terminal, from texts; numbers after the first column."""
    # In 80 columns long names wrap, and numbers do not.
    table = rich.table.Table(box=rich.box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="right" if position else "left")
    for row, bold in zip(rows, is_bold or [False] * len(rows), strict=True):
        table.add_row(*row, style="bold" if bold else None)
    return table


def stage_table(name, scores):
    """Accuracy after each stage, for the terminal.

    Args:
        name: Name of the network.
        scores: Split → stage → accuracy.
    """
    stages = {"pretrain": "pre-trained", "pruned": "pruned", "finetune": "fine-tuned"}
    table = rich.table.Table(f"{name}: accuracy %", box=rich.box.SIMPLE)
    for stage in stages.values():
        table.add_column(stage, justify="right")
    for split, by_stage in scores.items():
        table.add_row(split, *(f"{100 * by_stage[stage]:.1f}" for stage in stages))
    return table


def markdown_table(lines, losing_to, metric="accuracy"):
    """The same for a README."""
    plain, more = _plain_numbers(lines), _more(lines)
    rows = []
    for line in lines:
        cells = _cells(line, plain, more)
        if line.name in losing_to:
            cells = [f"**{cell}**" if cell else cell for cell in cells]
        rows.append(cells)
    return markdown(headings(metric, more), rows)


def markdown(headings, rows, words=1):
    """A Markdown table, from texts; numbers after the first `words` columns."""
    # A bar, as in |FFT|, would begin another cell.
    rows = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    text = [
        "| " + " | ".join(headings) + " |",
        "| --- " * words + "| ---: " * (len(headings) - words) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    return "\n".join(text) + "\n"


def draw(lines, title, path, metric="accuracy"):
    """Bytes against score; the uncompressed network's band is shaded."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.6), layout="constrained")
    plain = next(line for line in lines if line.name == "uncompressed")
    error = plain.error or 0
    axes.axhspan(
        plain.test - error,
        plain.test + error,
        color="0.88",
        label="uncompressed ± standard error",
    )
    strengths = [line for line in lines if re.fullmatch(r"C-VD [\d.]+", line.name)]
    strengths.sort(key=lambda line: line.bytes)
    axes.plot(
        [line.bytes for line in strengths],
        [line.test for line in strengths],
        "o-",
        color="C0",
        label="C-VD, by strength" if strengths else None,
    )
    markers = itertools.cycle("sD^vP*XdphH<>1234")
    for line in lines:
        if line in strengths:
            continue
        if line.test < LOWEST_SHOWN * plain.test:
            axes.plot([], [], " ", label=f"not shown: {line.name}, {line.test:.0f} %")
            continue
        axes.plot(
            line.bytes,
            line.test,
            next(markers),
            markersize=8,
            markerfacecolor="C0" if line.group == "cvzoo" else "none",
            label=line.name,
        )
    axes.set_xscale("log")
    axes.set_xlabel("bytes of the weights file")
    axes.set_ylabel(f"test {metric}, %")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _plain_numbers(lines):
    return next(line.numbers for line in lines if line.name == "uncompressed")


def mean_and_error(values):
    """Mean of some values, and its standard error, `None` of one value."""
    return float(np.mean(values)), _standard_error(values)


def plus_minus(mean, error, digits=1, sign=""):
    """`93.0 ± 0.2`, or without the error where there is none."""
    text = f"{mean:{sign}.{digits}f}"
    return text if error is None else f"{text} ± {error:.{digits}f}"


def _standard_error(values):
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
