"""Workers that train together must run the same code with the same recipe."""

import hashlib
import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import cvzoo
import training
from training import config as configs
from training.cluster import DistributionError
from training.keras_gaps import has_several_workers


def check_workers_agree(strategy, **facts):
    """Raises on every worker unless all have the same versions and facts.

    All workers must call it at the same place of the program.

    Args:
        strategy: From `distribution.make_strategy`.
        facts: What they must agree on, such as a recipe, as JSON can hold it.
    """
    if not has_several_workers(strategy):
        return
    facts = {"versions": versions(), **facts}
    line = json.dumps([strategy.cluster_resolver.task_id, facts]) + "\n"
    mine = tf.constant(list(line.encode()))
    everyone = strategy.gather(strategy.run(lambda: mine), axis=0)
    lines = bytes(everyone.numpy().tolist()).decode().splitlines()
    compare(dict(json.loads(line) for line in lines))


def versions():
    """What may differ between machines."""
    return {
        "cvzoo": f"{cvzoo.__version__}, sources {_digest_of(cvzoo)}",
        "training": f"sources {_digest_of(training)}",
        "keras": keras.__version__,
        "numpy": np.__version__,
        "tensorflow": tf.__version__,
    }


def _digest_of(package):
    """A hash of a package's Python files."""
    digest = hashlib.sha256()
    for path in sorted(Path(package.__path__[0]).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def compare(facts):
    """Raises where the facts of a worker are not those of worker 0.

    Args:
        facts: Index of a worker → nested dictionary.
    """
    found = [
        f"worker {worker} has {key} = {value!r}, worker 0 has {expected!r}"
        for worker, other in sorted(facts.items())
        for key, value, expected in configs.differences(other, facts[0])
    ]
    if found:
        raise DistributionError(
            "All workers must run the same versions with the same recipe, and see the "
            f"same folder: {'; '.join(found)}. Install the same on each, and start "
            "each with the same options."
        )
