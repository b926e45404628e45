"""Loads mutants, and looks at what they do."""

import collections
import dataclasses
import os
import shutil
import tempfile
import time
from pathlib import Path

import cvzoo
from cvzoo.catalogue import PresetError
from tests.hostile import checks
from tests.hostile.mutant import FOUND_BY_VERIFY, REFUSED_OR_AS_GOOD

# In memory where there is such a folder: files are written thousands of times.
FASTEST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclasses.dataclass
class Results:
    """What came of some mutants.

    Attributes:
        mutants: All of them.
        wrong: What did not happen as it must, as sentences.
        by_check: Name of a check → how many it has refused.
        by_kind: Kind → likewise.
        seconds: `(seconds, name)` of each.
        as_good: Names of those in which a flipped bit has changed nothing.
    """

    mutants: list
    wrong: list = dataclasses.field(default_factory=list)
    by_check: dict = dataclasses.field(default_factory=collections.Counter)
    by_kind: dict = dataclasses.field(default_factory=collections.Counter)
    seconds: list = dataclasses.field(default_factory=list)
    as_good: list = dataclasses.field(default_factory=list)

    @property
    def resealed(self):
        return [mutant for mutant in self.mutants if mutant.is_resealed]

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
                "slowest",
                *(f"{one:6.2f}  {name}" for one, name in sorted(self.seconds)[-9:]),
            ]
        )


def run(all_mutants):
    """Loads each of some mutants, from a folder that is then looked at."""
    results = Results(all_mutants)
    with tempfile.TemporaryDirectory(dir=FASTEST) as root:
        for mutant in all_mutants:
            around = Path(root) / "around"
            folder = around / "preset"
            folder.mkdir(parents=True)
            mutant.write(folder)
            before = _state(around)
            start = time.perf_counter()
            _load(mutant, folder, results)
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


def _state(folder):
    """All that is below a folder: names, kinds, sizes and times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = status.st_mode, status.st_size, status.st_mtime_ns
    return found
