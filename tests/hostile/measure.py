"""Memory that refusing mutants takes, and all that Python is asked to do meanwhile.

Run in a process of its own, by `test_memory.py`: prints JSON.
"""

import ctypes
import gc
import json
import math
import re
import sys
import tempfile
from pathlib import Path

import cvzoo
from cvzoo.preset_files import MANIFEST, PresetError
from tests.hostile import bases, mutants
from tests.hostile.mutant import FOUND_BY_VERIFY, Mutant

KINDS = (
    *("bomb or no JSON", "header", "header length", "stated in the header"),
    *("streams", "huge shape", "huge claim", "manifest, tensors", "layers and calls"),
    *("no plain file", "extra file", "argument", "entry of a tensor", "examples"),
    *("nested", "entries of the file", "examples that cannot be run"),
)
# Events of Python's that change something, or reach out of the process.
HARMFUL = re.compile(
    r"os\.(?!listdir|scandir|walk|fwalk|getxattr|listxattr)|shutil\.|tempfile\.|"
    r"subprocess\.|socket\.|ctypes\.dlopen|marshal\.|pickle\.|code\.__new__|"
    r"urllib|http|ftplib|smtplib|webbrowser|winreg|mmap"
)


def main():
    heard, is_loading = [], False

    def hook(event, arguments):
        if not is_loading:
            return
        is_writing = event == "open" and _is_writing(arguments)
        if is_writing or HARMFUL.match(event):
            heard.append(f"{event} {arguments!r:.200}")

    sys.addaudithook(hook)
    found = {}
    with tempfile.TemporaryDirectory() as root:
        for number, mutant in enumerate(_measured()):
            folder = Path(root) / str(number) / "preset"
            folder.mkdir(parents=True)
            mutant.write(folder)
            if number == 1:
                gc.freeze()  # what TensorFlow has, so that a collection is fast
            gc.collect()
            _give_back()
            before = _memory("VmRSS")
            _forget_peak()
            is_loading = True
            try:
                cvzoo.from_preset(folder, verify=mutant.outcome == FOUND_BY_VERIFY)
            except PresetError:
                refused = True
            else:
                refused = mutant.name == "warm up"
            is_loading = False
            used = _memory("VmHWM") - before
            found[mutant.name] = {
                "refused": refused,
                "used": used,
                "stated": _stated(mutant),
            }
        is_loading, of_mutants = True, list(heard)
        (Path(root) / "heard").write_text("")
        assert len(heard) == len(of_mutants) + 1, "the hook does not hear of files"
    print(json.dumps({"mutants": found, "heard": of_mutants}))


def _measured():
    yield Mutant("warm up", "none", "sparse", dict)
    yield from (one for one in mutants.mutants() if one.kind in KINDS)


def _is_writing(arguments):
    _, mode, flags = arguments
    return bool(set(mode or "") & set("wax+")) or bool((flags or 0) & 0b11)


def _memory(key):
    """Bytes, as Linux counts them."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{key}:\s+(\d+) kB", text)[1])


def _give_back():
    """Freed memory that the C library keeps would hide what is taken next."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _forget_peak():
    Path("/proc/self/clear_refs").write_text("5")


def _stated(mutant):
    """Bytes of the model that a mutant's manifest states, if it does."""
    files = mutant.make(bases.presets()[mutant.base])
    try:
        tensors = json.loads(files[MANIFEST])["tensors"].values()
        size = sum(one["parts"] * math.prod(one["shape"]) for one in tensors)
        return max(0, min(4 * size, 2**28))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return 0


if __name__ == "__main__":
    main()
