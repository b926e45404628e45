"""The whole path on real data, in a few minutes on two cores.

    python -m training.demo [--folds 0|all|0,1,…] [--out out/demo]

Trains a complex network on the digits of some writers, sparsifies it, fine-tunes,
shrinks and saves it; loads the preset in a new process and tests it on other writers;
exports it and asks it from a process without cvzoo; and compares it with baselines.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from training.compare import compare, parse_folds, rounded_jobs, train_folds
from training.workers import console

# Modules that import TensorFlow are imported inside functions, once its native
# messages go to a file.

CONFIG = "two_layer_dense_complex_vd_digits"
# Strengths of C-VD beside the recipe's own.
STRENGTHS = (0.05, 0.22, 0.4)
# Row name → recipe whose sparsifiers it takes, from the same pre-trained network.
METHODS = {
    "C-ARD": "two_layer_dense_complex_ard_digits",
    "C-VD + unit ARD": "two_layer_dense_complex_unit_ard_vd_digits",
    "unit ARD + magnitude": "two_layer_dense_complex_unit_ard_magnitude_digits",
}


def stage_scores(workdirs):
    """Split → stage → accuracy, mean over the runs."""
    from training import run_folder

    runs = [run_folder.read_scores(workdir)[0] for workdir in workdirs]
    return {
        split: {
            stage: sum(run[split][stage] for run in runs) / len(runs)
            for stage in stages
        }
        for split, stages in runs[0].items()
    }


def main_name(config):
    """Name of the recipe's own row."""
    (term,) = config["stages"]["sparsify"]["sparsifiers"]
    return f"C-VD {term['strength']}"


def our_jobs(config):
    """`(kind, name, …)` of the rows that cvzoo compressed."""
    label = main_name(config)
    jobs = [("main", label), *rounded_jobs(label)]
    for strength in STRENGTHS:
        term = {"name": "VariationalDropout", "strength": strength}
        jobs.append(("compressed", f"C-VD {strength}", [term]))
    for name, recipe in METHODS.items():
        jobs.append(("compressed", name, sparsifiers_of(recipe)))
    return jobs


def baseline_jobs():
    """`(kind, …)` of the rows that they are compared with."""
    method = "unit ARD + magnitude"
    twice = ("twice_real", f"2R, {method}", sparsifiers_of(METHODS[method]))
    before = ("gradual_magnitude", "same_masks_fresh_weights", "small_real")
    before += ("small_complex", "twice_real")
    after = ("low_rank", "float16", "int8", "linear", "constant_prior")
    return [*((name,) for name in before), twice, *((name,) for name in after)]


def sparsifiers_of(recipe):
    """The sparsify stage's sparsifiers of a recipe."""
    from training import config as configs

    return configs.get(recipe)["stages"]["sparsify"]["sparsifiers"]


def check_preset(workdir):
    """Test accuracy of the preset, from a new process."""
    command = [sys.executable, "-m", "training.evaluate", str(workdir / "preset")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])["accuracy"]


def check_saved_model(workdir, out):
    """Exports the preset and asks it about one image in a process without cvzoo."""
    import cvzoo
    from cvzoo.exporting import verification
    from training import datasets, run_folder

    folder = out / "saved_model"
    shutil.rmtree(folder, ignore_errors=True)
    model = cvzoo.from_preset(workdir / "preset", compile=False, masked=False)
    exported = cvzoo.export(model, folder)
    data = datasets.open_data(run_folder.read_config(workdir))
    images, labels = data.arrays("test", first=1)
    batch = {"pixels": images}
    (served,) = verification.run(folder, [batch], "tf_saved_model").outputs
    console.print(
        f"SavedModel in {folder}, run by a process that imports tensorflow only: "
        f"it reads a {served['logits'].argmax()}, the writer meant a {int(labels[0])}."
    )
    return exported


def dense_keras_bytes(config, out):
    """Size of the uncompressed network's .keras file, without an optimizer."""
    import cvzoo

    path = out / "uncompressed.keras"
    cvzoo.create_model(**config["model"]).save(path)
    return path.stat().st_size


def report_on(config, workdir, out, rows):
    """The contents of report.json, for one fold; `seconds` is filled in at the end."""
    import cvzoo

    compact = cvzoo.from_preset(workdir / "preset", compile=False, masked=False)
    counts = cvzoo.compression_report(compact, cvzoo.create_model(**config["model"]))
    table = {row.name: row for row in rows}
    exported = check_saved_model(workdir, out)
    preset = [path.stat().st_size for path in (workdir / "preset").iterdir()]
    return {
        "preset": str(workdir / "preset"),
        "test_accuracy_pretrained": table["uncompressed"].test,
        "test_accuracy": check_preset(workdir),
        "parameters": counts.baseline_parameters,
        "nonzero": counts.nonzero,
        "compression": counts.compression,
        "bytes_weights": counts.bytes,
        "bytes_preset": sum(preset),
        "bytes_dense_keras": dense_keras_bytes(config, out),
        "savedmodel_max_abs_error": exported["max_abs_error"],
        "seconds": None,
        "baselines": [
            {key: value for key, value in vars(row).items() if key != "network"}
            for row in rows
            if row.name != main_name(config)
        ],
    }


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.demo", description=__doc__
    )
    parser.add_argument("--folds", default="0", help="a fold, several, or `all`")
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.add_argument("--quicktest", action="store_true", help="see training.train")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    from training import config as configs
    from training import results, train
    from training.data import digits

    config = configs.get(CONFIG)

    if options.quicktest:
        config = train.quick(config)

    folds = range(digits.FOLDS)
    if options.folds != "all":
        try:
            folds = parse_folds(options.folds, digits.FOLDS)
        except ValueError as error:
            print(f"training.demo: {error}", file=sys.stderr)
            return 2
    console.print(f"[bold]{CONFIG}[/]\n{digits.ABOUT['name']}: {list(folds)}")
    workdirs = train_folds(config, folds, options.out)
    jobs = [("uncompressed",), *our_jobs(config), *baseline_jobs()]
    rows_by_fold = compare(workdirs, jobs)
    n_test = len(digits.indices("test", folds[0]))
    ours = [name for _, name, *_ in our_jobs(config)]
    lines = results.summarize(rows_by_fold, ours, n_test)
    losing_to = results.dominating(lines, ours)
    report = report_on(config, workdirs[0], options.out, rows_by_fold[0])
    title = f"Digits by writer, fold {folds[0]}"
    if len(folds) > 1:
        title = f"Digits by writer, mean of {len(folds)} folds"
    results.draw(lines, title, options.out / "tradeoff.png")
    table = results.markdown_table(lines, losing_to)
    (options.out / "table.md").write_text(table, encoding="utf-8")
    report["seconds"] = time.perf_counter() - start
    (options.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    console.print(results.stage_table(main_name(config), stage_scores(workdirs)))
    console.print(results.text_table(lines, losing_to))
    console.print(
        f"Preset: {report['bytes_weights']:,} bytes of weights, "
        f"{report['bytes_preset']:,} in all; the uncompressed .keras file has "
        f"{report['bytes_dense_keras']:,}. Test accuracy {report['test_accuracy']:.3f} "
        f"in a new process; SavedModel within {report['savedmodel_max_abs_error']:.0e}."
    )
    for name, winners in losing_to.items():
        console.print(f"[bold]Smaller and better than {name}: {', '.join(winners)}[/]")
    console.print(
        f"{report['seconds']:.0f} s. Picture: {options.out / 'tradeoff.png'}. "
        f"Report: {options.out / 'report.json'}."
    )
    return 0


def _native_messages_to(path):
    """Sends TensorFlow's native messages to a file; Python's stay in the terminal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    with open(path, "wb") as log:
        os.dup2(log.fileno(), 2)


if __name__ == "__main__":
    _native_messages_to(Path("out/tensorflow.log"))
    sys.exit(main())
