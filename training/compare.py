"""A small network beside its baselines, over several folds.

    python -m training.compare CONFIG [--folds 0,1,2,3,4] [--out out/compare]

Runs the recipe on each fold, makes the rows of `training.baselines` for each, and
writes the table, the rows, the pictures, and `rivals.json`, which `cvzoo bench` takes.
Rivals of a network that is trained in one stage are the other recipes of its family on
the same data. Rows that are there already are kept, so that the command goes on where
it was stopped.
"""

import argparse
import dataclasses
import json
import re
import sys
from pathlib import Path

from training import recipe_parts, workers
from training.workers import console

# Modules that import TensorFlow are imported inside functions: the demo first sends
# its native messages to a file.

ROUNDED = (", float16", ", posterior", ", int8")
BASELINES = (
    *("gradual_magnitude", "same_masks_fresh_weights", "small_real", "small_complex"),
    *("same_real", "twice_real", "low_rank", "float16", "int8", "linear"),
    "constant_prior",
)
# Rows that `--rows` does not leave out.
ALWAYS = ("uncompressed", "main")
# Of networks for notes. The real one has twice the channels as it is.
NOTE_BASELINES = (
    *("trained_longer", "gradual_magnitude", "same_masks_fresh_weights"),
    *("small_real", "small_complex", "same_real", "low_rank", "float16", "int8"),
    *("spectrum_linear", "log_frequency", "note_prior", "key_prior"),
)
# Of recipes of one stage: rows made of the uncompressed network's run.
OF_UNCOMPRESSED = ("uncompressed", "float16", "int8", "linear", "constant_prior")
OF_UNCOMPRESSED_VIDEO = ("uncompressed", "float16", "int8", "label_prior")


def run_fold(config, workdir, quiet):
    """The recipe on one fold."""
    from training import train

    train.run(config, workdir, quiet=quiet)


def make_row(workdir, kind, *arguments):
    """One row of the table, in a worker process."""
    from training import baselines, note_baselines, video_baselines

    run = baselines.Run.open(workdir)
    if kind == "main":
        return baselines.measured(*arguments, run.final(), run.data)
    if kind in ("compressed", "rounded"):
        return getattr(baselines, kind)(run, *arguments)
    rows = {**baselines.ROWS, **note_baselines.ROWS, **video_baselines.ROWS}
    return rows[kind](run, *arguments)


def kept_row(workdir, *job):
    """The same; read from a file of the run's folder, or else kept there.

    The file also keeps what the row was made for: another recipe, or another strength,
    makes it anew.
    """
    from training import baselines, run_folder

    name = re.sub(r"\W+", "_", " ".join(str(word) for word in job[:2]))
    path = workdir / "rows" / f"{name}.json"
    config = run_folder.read_config(workdir)
    made_for = json.loads(json.dumps({"config": config, "job": job}))
    if path.exists():
        kept = json.loads(path.read_text())
        if kept.get("made for") == made_for:
            return baselines.Row(**kept["row"])
    row = make_row(workdir, *job)
    path.parent.mkdir(exist_ok=True)
    aside = path.with_suffix(".part")
    kept = {"row": dataclasses.asdict(row), "made for": made_for}
    aside.write_text(json.dumps(kept) + "\n")
    aside.replace(path)
    return row


def parse_folds(text, count=None, option="--folds"):
    """Numbers of folds from an option such as `0,2`.

    Args:
        text: The option's value.
        count: How many folds the data have; `None` where a fold is a seed.
        option: What it is called.
    """
    folds = [int(word) for word in text.split(",") if word.strip().isdecimal()]
    is_known = all(count is None or fold < count for fold in folds)
    if len(set(folds)) != len(text.split(",")) or not is_known:
        last = "…" if count is None else f"… {count - 1}"
        raise ValueError(
            f"`{option}` must be different numbers of 0, 1, {last} with commas between "
            f"them, such as 0,1,2. Received: {text!r}"
        )
    return folds


def train_folds(config, folds, out, keep=False):
    """Runs the recipe on each fold; returns the folders.

    Args:
        config: A recipe.
        folds: Numbers of the folds; of data without any, they are added to the seed.
        out: Folder that gets one for each fold.
        keep: Whether runs of the same recipe that are there are kept, and go on.
    """
    from training import config as configs
    from training import run_folder

    runs = []
    for fold in folds:
        changed = configs.repetition(config, fold)
        runs.append((changed, out / f"fold{fold}"))
        if not keep:
            run_folder.remove(out / f"fold{fold}")
    waiting = [run for run in runs if not run_folder.is_done(*run)]
    if len(runs) == 1 and waiting:
        run_fold(*runs[0], quiet=False)
    elif waiting:
        with workers.pool() as pool:
            futures = [pool.submit(run_fold, *run, quiet=True) for run in waiting]
            workers.wait(futures, "training the folds")
    return [workdir for _, workdir in runs]


def compare(workdirs, jobs, keep=False):
    """All rows of all folds: list over folds of lists of rows.

    Args:
        workdirs: Folders of finished runs.
        jobs: `(kind, name, …)` of each row, see `make_row`.
        keep: Whether rows are kept in files, and read from them.
    """
    make = kept_row if keep else make_row
    with workers.pool() as pool:
        waiting = [
            pool.submit(make, workdir, *job) for workdir in workdirs for job in jobs
        ]
        rows = workers.wait(waiting, "training what it is compared with")
    return [rows[at : at + len(jobs)] for at in range(0, len(rows), len(jobs))]


def rounded_jobs(label):
    """The recipe's row with rounded weights."""
    return [
        ("rounded", f"{label}, {values}", values) for values in ("float16", "posterior")
    ]


def our_jobs(config):
    """The recipe's row, and those of its family's recipes for the same network."""
    from training import config as configs

    recipe = configs.get(config["name"])
    family = [configs.get(name) for name in configs.family(config["name"])]
    others = [
        other
        for other in family
        if (other["model"], other["data"]) == (recipe["model"], recipe["data"])
        and other["name"] != config["name"]
    ]
    label = configs.label(config["name"])
    jobs = [("main", label), *rounded_jobs(label)]
    for other in others:
        stage = other["stages"]["sparsify"]
        label = configs.label(other["name"])
        jobs.append(("compressed", label, stage["sparsifiers"]))
    return jobs


def plan(config):
    """`(recipe's name, jobs)`: whose runs which rows are made of, and names of ours."""
    from training import config as configs

    name = config["name"]
    if "train" not in config["stages"]:
        ours = our_jobs(config)
        is_pooled = recipe_parts.metric(config) == "average_precision"
        kinds = NOTE_BASELINES if is_pooled else BASELINES
        jobs = [("uncompressed",), *ours, *((kind,) for kind in kinds)]
        return [(name, jobs)], [row for _, row, *_ in ours]
    plain = configs.uncompressed(name)
    if name == plain:
        raise ValueError(f"Recipe {name!r} is what others are compared with.")
    rows = {plain: [(kind,) for kind in _kinds_of_uncompressed(config)]}
    for other in configs.same_data(name):
        if other != plain and configs.uncompressed(other) == plain:
            rows[other] = [("main", configs.label(other))]
            if "sparsify" in configs.get(other)["stages"]:
                rows[other].append(("same_masks_fresh_weights",))
    label = configs.label(name)
    rows[name].append(("rounded", f"{label}, float16", "float16"))
    return list(rows.items()), [row for _, row, *_ in rows[name]]


def _kinds_of_uncompressed(config):
    """Kinds of rows that are made of the uncompressed network's run."""
    from training import data

    if recipe_parts.metric(config) != "global_average_precision":
        return OF_UNCOMPRESSED
    source = data.find(config["data"]["name"])
    # Its penalty is chosen by validation videos; those of YouTube-8M are too many.
    has_validation = "validation" in source.SPLITS
    return (*OF_UNCOMPRESSED_VIDEO, *["mean_frame_linear"] * has_validation)


def only(planned, kinds):
    """A result of `plan` without the rows of other kinds."""
    known = {kind for _, jobs in planned for kind, *_ in jobs} - set(ALWAYS)
    if unknown := set(kinds) - known:
        raise ValueError(
            f"`--rows` must be some of {', '.join(sorted(known))}. Received: "
            f"{', '.join(sorted(unknown))}"
        )
    kept = [
        (name, [job for job in jobs if job[0] in (*ALWAYS, *kinds)])
        for name, jobs in planned
    ]
    return [(name, jobs) for name, jobs in kept if jobs]


def write(config, workdirs, rows_by_fold, ours, out, command):
    """Writes the table and the pictures; returns the lines, and who loses to whom."""
    from cvzoo.exporting import rivals as files
    from training import datasets, pictures, results, rivals

    data = datasets.open_data(config)
    n_test = data.size("test") if data.metric == "accuracy" else None
    lines = results.summarize(rows_by_fold, ours, n_test)
    losing_to = results.dominating(lines, ours)
    metric = recipe_parts.metric_words(config)
    (out / "table.md").write_text(
        results.markdown_table(lines, losing_to, metric), encoding="utf-8"
    )
    title = data.about["name"]
    if len(workdirs) > 1:
        kind = "folds" if hasattr(data.source, "FOLDS") else "seeds"
        title += f"; mean of {len(workdirs)} {kind}"
    results.draw(lines, title, out / "tradeoff.png", metric)
    found = rivals.of_comparison(lines, rows_by_fold, config, data, command)
    files.write(out / "rivals.json", found)
    if data.groups("test") is not None:
        curves = {
            name: curve
            for name, curve in results.by_group(rows_by_fold).items()
            if not name.endswith(ROUNDED)  # they lie on the others
        }
        pictures.accuracy_by_snr(curves, out / "accuracy_by_snr.png", title)
        matrix = sum(confusion_of(workdir) for workdir in workdirs)
        title = f"{ours[0]}, test splits"
        pictures.confusion_matrix(
            matrix, data.source.CLASSES, out / "confusion.png", title
        )
    return lines, losing_to


def confusion_of(workdir):
    """Confusion matrix of a run's preset on its test split."""
    from training import baselines, pictures

    run = baselines.Run.open(workdir)
    inputs, labels = run.data.arrays("test")
    logits = run.compact().predict(inputs, batch_size=1024, verbose=0)
    classes = len(run.data.source.CLASSES)
    return pictures.confusion(labels, logits.argmax(axis=-1), classes)


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", help="a recipe")
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument(
        "--rows", metavar="KIND,…", help="only these, beside the recipe's own"
    )
    parser.add_argument("--out", type=Path, default=Path("out/compare"))
    parser.add_argument("--quicktest", action="store_true", help="see training.train")
    options = parser.parse_args(arguments)
    from training import config as configs
    from training import data, results, train
    from training.checkpoints import CheckpointError

    def recipe(name):
        config = configs.get(name)
        return train.quick(config) if options.quicktest else config

    try:
        config = recipe(options.config)
        planned, ours = plan(config)
        if options.rows is not None:
            planned = only(planned, options.rows.split(","))
        source = data.find(config["data"]["name"])
        folds = parse_folds(options.folds, getattr(source, "FOLDS", None))
    except ValueError as error:
        print(f"training.compare: {error}", file=sys.stderr)
        return 2
    rows_by_fold = [[] for _ in folds]
    for name, jobs in planned:
        out = options.out if len(planned) == 1 else options.out / name
        try:
            folders = train_folds(recipe(name), folds, out, keep=True)
        except (CheckpointError, data.DataError) as error:
            print(f"training.compare: {error}", file=sys.stderr)
            return 2
        if name == config["name"]:
            workdirs = folders
        for rows, new in zip(
            rows_by_fold, compare(folders, jobs, keep=True), strict=True
        ):
            rows.extend(new)
    command = f"python -m training.compare {config['name']} --folds {options.folds}"
    if options.rows is not None:
        command += f" --rows {options.rows}"
    if options.quicktest:
        command += " --quicktest"
    lines, losing_to = write(config, workdirs, rows_by_fold, ours, options.out, command)
    console.print(
        results.text_table(lines, losing_to, recipe_parts.metric_words(config))
    )
    for name, winners in losing_to.items():
        console.print(f"[bold]Smaller and better than {name}: {', '.join(winners)}[/]")
    console.print(f"Table and pictures: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
