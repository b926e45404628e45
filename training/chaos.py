"""Kills a run again and again, and sees whether it goes on as if nothing had been.

    python -m training.chaos [--kills 20] [--local 2] [--seed 0] [--out out/chaos]

A run of three stages, on digits, is made once without a kill. Then each trial starts it
in a folder of its own, kills it (SIGKILL), and starts the same command again. Two kills
of three come at a time that is uniform over the run, the others inside a write of a
file, nearly always a checkpoint. All numbers of the trained network, and the bytes of
the preset's weights, must be those of the run that was not killed. With `--local N`
there are N workers, of which one is killed; the launcher ends the others.
"""

import argparse
import dataclasses
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py

from training.run_folder import PRESET, read_config

RECIPE = "two_layer_dense_complex_vd_digits"
EPOCHS = {"pretrain": 10, "sparsify": 20, "finetune": 10}
# A start takes some seconds; nothing here takes longer, even on a busy machine.
PATIENCE_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Trial:
    """What happened to one run.

    Attributes:
        when: Seconds after the run began, or the number of the write.
        done: How many epochs were done when the run was killed.
        lost: How many of them were done again.
        digest: Hash of the result.
    """

    when: str
    done: int
    lost: int
    digest: str


class Command:
    """The command of a run in a folder, started as often as it takes."""

    def __init__(self, folder, workers):
        self.folder, self.workers = folder, workers
        self.pids = folder.parent / f"{folder.name}.pids"
        self.log = folder.parent / f"{folder.name}.log"
        shutil.rmtree(folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    def start(self, stop_at=0):
        """Starts it; returns the process."""
        shutil.rmtree(self.pids, ignore_errors=True)
        self.pids.mkdir(parents=True)
        launch = ["training.launch", "--local", str(self.workers), "--module"]
        changes = [f"stages.{stage}.epochs={n}" for stage, n in EPOCHS.items()]
        command = [sys.executable, "-m"]
        command += launch if self.workers > 1 else []
        command += ["training.stretched_writes", RECIPE, "--deterministic"]
        command += ["--workdir", str(self.folder)]
        command += [word for change in changes for word in ("--set", change)]
        chaos = {"CHAOS_PIDS": str(self.pids), "CHAOS_SYNC": str(stop_at)}
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                command, env={**os.environ, **chaos}, stdout=log, stderr=log
            )

    def complete(self):
        """Runs it to its end; returns the seconds of the run proper."""
        process = self.start()
        _until(lambda: self.has_begun() or process.poll() is not None)
        begin = time.monotonic()
        if process.wait(PATIENCE_SECONDS):
            raise RuntimeError(f"The run failed; its output is in {self.log}")
        return time.monotonic() - begin

    def has_begun(self):
        """Whether the run has made its folder."""
        return read_config(self.folder) is not None

    def epochs(self, what):
        """How many epochs have begun, or ended, since the last start."""
        log = self.pids / "epochs"
        lines = log.read_text().splitlines() if log.exists() else []
        return len({line for line in lines if line.startswith(what)})

    def kill_one(self, process, generator):
        """Kills one worker, the one that is writing if there is one."""
        writing = self.pids / "writing"
        if writing.exists():
            victim = int(writing.read_text())
        else:
            victim = int(generator.choice(sorted(self.workers_alive(), key=int)))
        os.kill(victim, signal.SIGKILL)
        process.wait(PATIENCE_SECONDS)
        _until(lambda: not self.workers_alive())

    def workers_alive(self):
        """Process numbers of the workers that run."""
        found = [path.name for path in self.pids.iterdir() if path.name.isdecimal()]
        return [pid for pid in found if Path(f"/proc/{pid}/cmdline").exists()]


def kill_at(command, seconds, generator):
    """Starts a run and kills it after some seconds; `False` if it had ended."""
    process = command.start()
    _until(lambda: command.has_begun() or process.poll() is not None)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        command.kill_one(process, generator)
        return True
    return False


def kill_in_write(command, number, generator):
    """Starts a run and kills the writer inside a write; `False` if it had ended."""
    process = command.start(stop_at=number)
    writing = command.pids / "writing"
    _until(lambda: writing.exists() or process.poll() is not None)
    if process.poll() is not None:
        return False
    command.kill_one(process, generator)
    return True


def try_once(folder, workers, draw, generator):
    """One trial; `draw` kills a run once and says when, or gives `None`."""
    while True:
        command = Command(folder, workers)
        when = draw(command, generator)
        if when is not None:
            break
    done = command.epochs("end")
    command.complete()
    lost = done + command.epochs("begin") - sum(EPOCHS.values())
    return Trial(when, done, lost, digest(folder))


def digest(folder):
    """Hash of all numbers of a run's last network and of its preset's weights."""
    whole = hashlib.sha256()
    with (
        zipfile.ZipFile(folder / "finetune.keras") as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file) as weights,
    ):
        names = []
        weights.visit(names.append)
        for name in sorted(names):
            if isinstance(weights[name], h5py.Dataset):
                whole.update(name.encode() + weights[name][()].tobytes())
    whole.update((folder / PRESET / "weights.safetensors").read_bytes())
    return whole.hexdigest()


def _until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("A process did not do what it should; see its log.")
        time.sleep(0.02)


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--local", type=int, default=1, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/chaos"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    reference = Command(options.out / "reference", options.local)
    seconds = reference.complete()
    expected = digest(reference.folder)
    print(f"{RECIPE}, {options.local} workers, seed {options.seed}")
    print(f"not killed: {seconds:.1f} s, {expected[:16]}", flush=True)
    # The recipe, epochs and networks; for each the file and the folder that it is in.
    syncs = 2 * (1 + sum(EPOCHS.values()) + len(EPOCHS))

    def draw_time(command, generator):
        when = generator.uniform(0, seconds)
        return f"{when:.2f} s" if kill_at(command, when, generator) else None

    def draw_write(command, generator):
        number = generator.randrange(3, syncs + 1)
        was_killed = kill_in_write(command, number, generator)
        return f"write {number / 2:g}" if was_killed else None

    same = 0
    for number in range(options.kills):
        draw = draw_write if number % 3 == 2 else draw_time
        generator = random.Random(f"{options.seed} {number}")
        folder = options.out / f"trial{number}"
        trial = try_once(folder, options.local, draw, generator)
        is_same = trial.digest == expected and trial.lost <= 1
        same += is_same
        print(
            f"{number:2}  killed at {trial.when:10}  {trial.done:2} epochs done, "
            f"{trial.lost} of them again  {trial.digest[:16]}  "
            f"{'same' if is_same else 'DIFFERENT'}",
            flush=True,
        )
        if is_same:
            shutil.rmtree(folder)
    print(f"{same} of {options.kills} ended as if they had not been killed.")
    return 0 if same == options.kills else 1


if __name__ == "__main__":
    sys.exit(main())
