"""Coverage-guided fuzzing: what both targets of `make fuzz` have in common."""

import json
import random
import sys
import tempfile

from tests.hostile.json_text import changed, places

try:
    import atheris
except ImportError:
    sys.exit('Fuzzing needs atheris: pip install ".[fuzz]"')


def run(target, seeds, modules, vary):
    """Calls a function of bytes until it fails, with bytes that reach new code.

    Arguments of the command line are those of libFuzzer, such as `-max_total_time=60`
    or a file to run once.

    Args:
        target: The function. Any error that it raises ends the run.
        seeds: Bytes to begin with.
        modules: Modules whose coverage counts.
        vary: Function of bytes and a `random.Random` that gives others of their form,
            or raises a `ValueError` where they have none. Every second change is its.
    """
    for module in modules:
        for name, value in list(vars(module).items()):
            if callable(value) and getattr(value, "__module__", "") == module.__name__:
                if isinstance(value, type):
                    continue
                setattr(module, name, atheris.instrument_func(value))

    def mutate(data, most, seed):
        generator = random.Random(seed)
        # A run without a folder of bytes would begin with nothing.
        is_new = len(data) < 2 or generator.random() < 0.1
        data = generator.choice(seeds) if is_new else data
        if seed % 2:
            try:
                return vary(data, generator)[:most]
            except ValueError:
                pass
        return atheris.Mutate(data, most)

    # Where a failing input is kept; the last of equal options counts.
    folder = tempfile.gettempdir()
    options = [f"-artifact_prefix={folder}/", "-max_len=16384", "-rss_limit_mb=4096"]
    options = [sys.argv[0], *options, *sys.argv[1:]]
    atheris.Setup(options, target, custom_mutator=mutate)
    atheris.Fuzz()


def vary_json(data, generator, pool):
    """JSON data with another value, of some pool or of itself, in one place."""
    path, _ = generator.choice(list(places(data)))
    value = generator.choice(generator.choice([pool, [one for _, one in places(data)]]))
    return changed(data, path, value)


def pool_of(texts):
    """All values in some texts of JSON."""
    found = {json.dumps(one) for text in texts for _, one in places(json.loads(text))}
    return [json.loads(one) for one in sorted(found)]
