"""Loads mutants, and looks at what they do."""

import argparse
import collections
import contextlib
import dataclasses
import functools
import io
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

import cvzoo
from cvzoo.commands import information
from cvzoo.preset_files import PresetError
from tests.hostile import bases, checks
from tests.hostile.mutant import FOUND_BY_VERIFY, REFUSED_OR_AS_GOOD, WITHOUT_HEAD

# In memory where there is such a folder: files are written thousands of times.
FASTEST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# Of so many mutants, one is given to the other functions that read presets as well.
SHARE = 4


@dataclasses.dataclass
class Results:
    """What came of some mutants.

    Attributes:
        mutants: All of them.
        resealed: Those with sizes and hashes that are right.
        wrong: What did not happen as it must, as sentences.
        by_check: Name of a check → how many it has refused.
        by_kind: Kind → likewise.
        seconds: `(seconds, name)` of each.
        as_good: Names of those in which a flipped bit has changed nothing.
        read_by: Name of another function that reads presets → how many it refused.
    """

    mutants: list
    resealed: list = dataclasses.field(default_factory=list)
    wrong: list = dataclasses.field(default_factory=list)
    by_check: dict = dataclasses.field(default_factory=collections.Counter)
    by_kind: dict = dataclasses.field(default_factory=collections.Counter)
    seconds: list = dataclasses.field(default_factory=list)
    as_good: list = dataclasses.field(default_factory=list)
    read_by: dict = dataclasses.field(default_factory=collections.Counter)

    def __str__(self):
        resealed, count = len(self.resealed), len(self.mutants)
        kinds = collections.Counter(mutant.kind for mutant in self.mutants)
        return "\n".join(
            [
                f"{count} mutants, {resealed} of them with hashes that are right, "
                f"{len(self.as_good)} as good as before",
                "",
                *(f"{number:6}  {kind}" for kind, number in kinds.most_common()),
                "",
                "refused by",
                *(
                    f"{number:6}  {name}"
                    for name, number in self.by_check.most_common()
                ),
                "",
                "of a share, refused by other functions",
                *(f"{number:6}  {name}" for name, number in self.read_by.items()),
                "",
                "slowest",
                *(f"{one:6.2f}  {name}" for one, name in sorted(self.seconds)[-9:]),
            ]
        )


def run(all_mutants):
    """Loads each of some mutants, from a folder that is then looked at."""
    results = Results(all_mutants)
    with tempfile.TemporaryDirectory(dir=FASTEST) as root:
        for number, mutant in enumerate(all_mutants):
            around = Path(root) / "around"
            folder = around / "preset"
            folder.mkdir(parents=True)
            if mutant.write(folder):
                results.resealed.append(mutant)
            before = _state(around)
            start = time.perf_counter()
            _load(mutant, folder, results)
            if number % SHARE == 0:
                _read(mutant, folder, results)
            results.seconds.append((time.perf_counter() - start, mutant.name))
            if _state(around) != before or os.listdir(root) != ["around"]:
                results.wrong.append(f"{mutant.name} has changed files")
            shutil.rmtree(around)
    return results


def _load(mutant, folder, results):
    try:
        error = None
        cvzoo.from_preset(folder, verify=mutant.outcome == REFUSED_OR_AS_GOOD)
        if mutant.outcome == REFUSED_OR_AS_GOOD:
            results.as_good.append(mutant.name)
            return
        if mutant.outcome == FOUND_BY_VERIFY:
            cvzoo.from_preset(folder, verify=True)
        if mutant.outcome == WITHOUT_HEAD:
            cvzoo.from_preset(folder, classes=3)
    except Exception as caught:  # any other kind than the loader's own is a finding
        error = caught
    if error is None:
        results.wrong.append(f"{mutant.name} was loaded")
    elif type(error) is not PresetError:
        results.wrong.append(f"{mutant.name} raised {error!r:.300}")
    else:
        name = checks.check_of(error)
        results.by_check[name] += 1
        results.by_kind[mutant.kind] += 1
        if mutant.outcome == FOUND_BY_VERIFY and not name.startswith(
            "stored_examples."
        ):
            results.wrong.append(f"{mutant.name} was refused by {name}")
        if mutant.outcome == WITHOUT_HEAD and not name.startswith("heads."):
            results.wrong.append(f"{mutant.name} was refused by {name}")


def _read(mutant, folder, results):
    """All else that reads presets, and may or may not need what was changed."""
    scores = np.zeros((1, 2))
    for name, read in {
        "examples": cvzoo.examples,
        "decode": lambda folder: cvzoo.decode(folder, scores),
        "info": _told,
        "load_weights_from": lambda folder: cvzoo.load_weights_from(
            _model(mutant.base), folder
        ),
        "from_preset(classes)": lambda folder: cvzoo.from_preset(folder, classes=3),
    }.items():
        try:
            read(folder)
        except PresetError as error:
            results.read_by[name] += 1
            check = checks.check_of(error)
            if check.startswith(checks.OF_OTHERS):
                results.by_check[check] += 1
        except Exception as error:
            results.wrong.append(f"{mutant.name}, {name} raised {error!r:.300}")


def _told(folder):
    """What `cvzoo info` prints, which no terminal obeys."""
    for as_json in (False, True):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            information.run(argparse.Namespace(name=folder, json=as_json))
        assert not re.search(r"[^\n\x20-\x7e\xa0-\uffff]", printed.getvalue())


@functools.cache
def _model(base):
    """The model of a base, of which mutants may set weights."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in bases.presets()[base].items():
            (Path(folder) / name).write_bytes(data)
        return cvzoo.from_preset(folder)


def _state(folder):
    """All that is below a folder: names, kinds, sizes and times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = status.st_mode, status.st_size, status.st_mtime_ns
    return found
