"""How long it takes until there is something: imports, and commands without Keras."""

import os
import subprocess
import sys
import tempfile

from tests.benchmarks.timing import show

ROUNDS = 5
PRESET = "musicnet_deep_complex_vd_chorales"


def process(*arguments):
    """A function that runs Python in a fresh process, as a user begins one."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}

    def run():
        subprocess.run(
            [sys.executable, *arguments],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return run


def main():
    """Times of fresh processes, whole."""
    show(
        "import cvzoo",
        {
            "import keras": process("-c", "import keras"),
            "import cvzoo": process("-c", "import cvzoo"),
        },
        bound="1.1",
        rounds=ROUNDS,
    )
    show(
        "commands that import no Keras (bound 300 ms)",
        {
            "python -c pass": process("-c", "pass"),
            "cvzoo list": process("-m", "cvzoo", "list"),
            "cvzoo list --all": process("-m", "cvzoo", "list", "--all"),
            "cvzoo info": process("-m", "cvzoo", "info", PRESET),
        },
        rounds=ROUNDS,
    )
    with tempfile.TemporaryDirectory() as folder:
        demo = process("-m", "cvzoo", "demo", "--out", folder)
        show("cvzoo demo (bound 20 s)", {"cvzoo demo": demo}, rounds=1)
