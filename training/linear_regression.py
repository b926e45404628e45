"""Figure 3a of paper 1 from scratch: linear regression by linear networks.

    python -m training.linear_regression --out docs/images/linear_regression.png

Its text and its code describe two experiments; both are run, a panel each. A table of
the same numbers is saved beside the picture. It takes about three minutes.
"""

import argparse
import csv
import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np
import rich.box
import rich.table
import tensorflow as tf

from cvzoo import figures, layers
from cvzoo.layers import structured

SIZE, EXAMPLES, BATCH, STEPS, LEARNING_RATE = 32, 10_000, 100, 5000, 0.01
# A step at which the paper's curves are far apart.
EARLY = 150
# Of the paper's figure: the losses at step 150, and at the end.
PUBLISHED = {"DC 2": (1.35, 1.32), "ACDC 2": (43.3, 2.19), "ACDC 4": (24.3, 1.40)}
COLOURS = {"dense": "black", "DC": "C0", "ACDC": "C1", "dense + ACDC": "C2"}
DASHES = {"": "-", "2": "-", "4": "--", "8": ":"}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a description says. The text says nothing of depths, steps and rates.

    Attributes:
        title: Of its panel.
        lowest: X and W are uniform between this and 1.
        noise: Standard deviation of the noise.
        integers: Whether targets become integers, as a placeholder made them.
        circulant_variance: Of circulants at the start, times n.
        scaled: Whether an ACDC layer is the code's, `(A C⁻¹ D C A x + b) / 100`, where
            the transforms are without norm, so that C⁻¹ C is 2n.
        models: Names, see `build`.
    """

    title: str
    lowest: float
    noise: float
    integers: bool
    circulant_variance: float
    scaled: bool
    models: tuple


SETTINGS = {
    "text": Setting(
        title="as in the text",
        lowest=-1.0,
        noise=0.1,
        integers=False,
        circulant_variance=2.0,  # §5
        scaled=False,
        models=(
            *("dense", "DC 2", "DC 4", "DC 8", "ACDC 2", "ACDC 4", "ACDC 8"),
            "dense + ACDC 2",
        ),
    ),
    "code": Setting(
        title="as in the code",
        lowest=0.0,
        noise=1.0,
        integers=True,
        circulant_variance=1.41**2 / 2,
        scaled=True,
        models=("dense", "DC 2", "DC 4", "ACDC 2", "ACDC 4", "dense + ACDC 2"),
    ),
}


@dataclasses.dataclass(frozen=True)
class Result:
    """A model over seeds.

    Attributes:
        parameters: How many numbers it has.
        losses: Of each step's batch, before the step: `(seeds, steps)`.
    """

    parameters: int
    losses: np.ndarray

    def early(self):
        """Each seed's mean of the ten losses around step 150, like `last`."""
        return _mean(self.losses[:, EARLY - 5 : EARLY + 5])

    def last(self):
        """Each seed's mean over the last hundred steps, infinite if it diverged."""
        return _mean(self.losses[:, -100:])


def _mean(losses):
    means = losses.mean(axis=1)
    return np.where(np.isfinite(means), means, np.inf)


def draw_data(setting, seed, size=SIZE, examples=EXAMPLES):
    """X and Y = X W + noise, each `(examples, size)`."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(setting.lowest, 1, (examples, size))
    weights = generator.uniform(setting.lowest, 1, (size, size))
    y = x @ weights + generator.normal(0, setting.noise, (examples, size))
    if setting.integers:
        y = y.astype("int32")  # towards zero
    return x.astype("float32"), y.astype("float32")


def least_squares(x, y):
    """Mean squared error of the best affine map from x to y: no model is below."""
    features = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    solution = np.linalg.lstsq(features, y.astype(float), rcond=None)[0]
    return float(np.mean((features @ solution - y) ** 2))


def build(name, setting, size=SIZE):
    """A linear network: `"dense"`, `"DC 4"`, `"ACDC 4"` or `"dense + ACDC 2"`.

    The number is the depth. The last one has a dense layer before and one after.
    """
    kind, _, depth = name.rpartition(" ")
    if name == "dense":
        inner = [_dense(size)]
    elif kind == "DC":
        deviation = (setting.circulant_variance / size) ** 0.5
        inner = [
            layers.DiagonalCirculantStack(
                int(depth),
                activation_every=int(depth) + 1,  # none
                circulant_initializer=keras.initializers.RandomNormal(stddev=deviation),
            )
        ]
    else:
        inner = [layer for _ in range(int(depth)) for layer in _acdc(setting, size)]
    if kind == "dense + ACDC":
        inner = [_dense(size), *inner, _dense(size)]
    return keras.Sequential([keras.Input((size,)), *inner])


def _dense(size):
    normal = keras.initializers.RandomNormal(stddev=size**-0.5)
    return keras.layers.Dense(size, kernel_initializer=normal)


def _acdc(setting, size):
    if not setting.scaled:
        return [structured.ACDC(size)]
    # Ours has transforms with C⁻¹ C = 1.
    return [
        keras.layers.Rescaling(2.0 * size),
        structured.ACDC(size, diagonal_at="both"),
        keras.layers.Rescaling(0.01),
    ]


def train(model, x, y, steps=STEPS, rate=LEARNING_RATE, batch=BATCH):
    """Plain gradient descent on the mean squared error, batches in one fixed order.

    Returns:
        Array `(steps,)`: the loss of each batch, before its step. After divergence it
        is not finite.
    """
    optimizer = keras.optimizers.SGD(rate)
    variables = model.trainable_variables
    optimizer.build(variables)
    batches = [
        tf.reshape(array[: len(array) // batch * batch], (-1, batch, array.shape[1]))
        for array in (x, y)
    ]

    def step(_, pair):
        inputs, targets = pair
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(inputs, training=True) - targets) ** 2)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    # Thousands of tiny steps: compiled, they are several times faster.
    @tf.function(jit_compile=True)
    def epoch():
        return tf.scan(step, tuple(batches), 0.0)

    epochs = -(-steps // batches[0].shape[0])
    return np.concatenate([epoch().numpy() for _ in range(epochs)])[:steps]


def run(setting, seeds, steps):
    """Trains all models of a setting.

    Returns:
        Name → `Result`; and the two floors, by least squares, means over seeds: on all
        inputs, and on nothing but their sum.
    """
    losses, floors, parameters = {name: [] for name in setting.models}, [], {}
    for seed in range(seeds):
        x, y = draw_data(setting, seed)
        total = x.sum(axis=1, keepdims=True)
        floors.append([least_squares(x, y), least_squares(total, y)])
        for name in setting.models:
            keras.utils.set_random_seed(seed)
            model = build(name, setting)
            losses[name].append(train(model, x, y, steps))
            parameters[name] = model.count_params()
            keras.backend.clear_session()
    results = {
        name: Result(parameters[name], np.array(losses[name])) for name in losses
    }
    return results, np.mean(floors, axis=0)


def rows(results):
    """A dictionary for each model of each setting: medians and ranges over seeds."""
    found = []
    for setting, by_name in results.items():
        for name, result in by_name.items():
            last = result.last()
            found.append(
                {
                    "setting": setting,
                    "model": name,
                    "numbers": result.parameters,
                    "loss at step 150": f"{np.median(result.early()):.3f}",
                    "loss at the end": f"{np.median(last):.3f}",
                    "lowest": f"{last.min():.3f}",
                    "highest": f"{last.max():.3f}",
                    "diverged": f"{np.isinf(last).sum()} of {len(last)}",
                }
            )
    return found


def binned(losses, bins=60):
    """Means over steps that grow like powers, so that noise of batches goes.

    Args:
        losses: `(seeds, steps)`.

    Returns:
        The middle step of each bin, counted from 1, and means `(seeds, bins)`.
    """
    steps = losses.shape[1]
    starts = np.unique(np.geomspace(1, steps, bins + 1)[:-1].astype(int)) - 1
    ends = np.append(starts[1:], steps)
    sums = np.add.reduceat(losses, starts, axis=1)
    return (starts + 1 + ends) / 2, sums / (ends - starts)


def draw(results, floors, path):
    """Draws the panels: medians and ranges over the seeds that did not diverge."""
    figure, axes = figures.new_figure(12, 6.5, columns=len(results))
    for panel, (name, by_name) in zip(axes, results.items(), strict=True):
        setting = SETTINGS[name]
        _draw_models(panel, by_name)
        whole, total = floors[name]
        panel.axhline(whole, color="0.5", linestyle="-.", label="least squares")
        if setting.integers:
            text = "least squares on the inputs' sum"
            panel.axhline(total, color="0.5", linestyle=":", label=text)
            _draw_published(panel)
            panel.set_yscale("log")
            panel.set_yticks((1, 2, 5, 10, 20, 50), ("1", "2", "5", "10", "20", "50"))
            panel.set_ylim(1, 90)
        else:
            panel.set_ylim(0, 6)
        panel.set_xscale("log")
        panel.set_xlabel("step")
        panel.set_ylabel("training loss")
        panel.set_title(setting.title)
        panel.grid(alpha=0.3)
        panel.legend(
            fontsize=9, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.11)
        )
    return figures.save(figure, path)


def _draw_models(panel, by_name):
    for name, result in by_name.items():
        if name == "dense":
            kind, depth = name, ""
        else:
            kind, _, depth = name.rpartition(" ")
        converged = np.isfinite(result.last())
        steps, means = binned(result.losses[converged])
        label = f"{name} ({result.parameters:,} numbers)"
        if not converged.all():
            label += f", {(~converged).sum()} of {len(converged)} diverge"
        if not converged.any():
            panel.plot([], [], label=label, color=COLOURS[kind])
            continue
        style = {"color": COLOURS[kind], "linestyle": DASHES[depth]}
        panel.plot(steps, np.median(means, axis=0), label=label, **style)
        panel.fill_between(
            steps, *np.quantile(means, (0, 1), axis=0), color=COLOURS[kind], alpha=0.15
        )


def _draw_published(panel):
    markers = {"DC 2": "o", "ACDC 2": "s", "ACDC 4": "D"}
    for name, losses in PUBLISHED.items():
        panel.plot(
            (EARLY, STEPS),
            losses,
            markers[name],
            color=COLOURS[name.split()[0]],
            markeredgecolor="black",
            markersize=8,
            zorder=3,
            clip_on=False,
            label=f"{name}, the paper's figure",
        )


def show(found):
    """A table for the terminal."""
    table = rich.table.Table(box=rich.box.SIMPLE)
    for heading in found[0]:
        table.add_column(heading)
    for row in found:
        table.add_row(*map(str, row.values()))
    rich.print(table)


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.linear_regression",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out/linear_regression.png"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.steps < 2 * EARLY:
        print(
            f"training.linear_regression: --seeds must be at least 1 and --steps at "
            f"least {2 * EARLY}. Received: {options.seeds} and {options.steps}",
            file=sys.stderr,
        )
        return 2
    results, floors = {}, {}
    for name, setting in SETTINGS.items():
        results[name], floors[name] = run(setting, options.seeds, options.steps)
        print(
            f"{name}: least squares {floors[name][0]:.4f}, on the sum of the inputs "
            f"alone {floors[name][1]:.4f}"
        )
    found = rows(results)
    show(found)
    draw(results, floors, options.out)
    table = options.out.with_suffix(".csv")
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, found[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    print(f"Picture: {options.out}; table: {table}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
