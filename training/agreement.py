"""Workers that train together must run the same code with the same recipe."""

import hashlib
import json
from pathlib import Path

import keras
import tensorflow as tf

import cvzoo
from training import config as configs
from training.cluster import DistributionError
from training.keras_gaps import has_several_workers


def check_workers_agree(strategy, config):
    """Raises on every worker unless all have the same versions and recipe.

    All workers must call it at the same place of the program.

    Args:
        strategy: From `distribution.make_strategy`.
        config: Dictionary that JSON can hold.
    """
    if not has_several_workers(strategy):
        return
    facts = {"versions": versions(), "recipe": config}
    line = json.dumps([strategy.cluster_resolver.task_id, facts]) + "\n"
    mine = tf.constant(list(line.encode()))
    everyone = strategy.gather(strategy.run(lambda: mine), axis=0)
    lines = bytes(everyone.numpy().tolist()).decode().splitlines()
    compare(dict(json.loads(line) for line in lines))


def versions():
    """What may differ between machines."""
    digest = hashlib.sha256()
    for path in sorted(Path(cvzoo.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return {
        "cvzoo": f"{cvzoo.__version__}, sources {digest.hexdigest()[:12]}",
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }


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
