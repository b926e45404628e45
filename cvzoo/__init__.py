"""A Keras 3 zoo of compact networks: complex-valued and sparse by Bayesian pruning."""

import importlib
import sys
from pathlib import Path

__version__ = "0.1.0"

# Public name → module that has it.
_PUBLIC = {
    "ARD": "cvzoo.layers",
    "BinnedAveragePrecision": "cvzoo.metrics",
    "BinnedGlobalAveragePrecision": "cvzoo.metrics",
    "Compression": "cvzoo.compressing",
    "CompressionReport": "cvzoo.reporting",
    "EarlyStoppingRule": "cvzoo.callbacks",
    "FixedMask": "cvzoo.layers",
    "GlobalAveragePrecision": "cvzoo.metrics",
    "HitAtOne": "cvzoo.metrics",
    "ImportReport": "cvzoo.importers",
    "KLWarmUp": "cvzoo.callbacks",
    "MagnitudePruning": "cvzoo.layers",
    "MeanAveragePrecision": "cvzoo.metrics",
    "MultiLabelCrossEntropy": "cvzoo.losses",
    "PooledAveragePrecision": "cvzoo.metrics",
    "PooledAveragePrecisionEvaluation": "cvzoo.callbacks",
    "PrecisionAtEqualRecallRate": "cvzoo.metrics",
    "VariationalDropout": "cvzoo.layers",
    "compress": "cvzoo.compressing",
    "compression_report": "cvzoo.reporting",
    "create_model": "cvzoo.models",
    "decode": "cvzoo.decoding",
    "examples": "cvzoo.stored_examples",
    "export": "cvzoo.exporting",
    "factorization_report": "cvzoo.factorization",
    "factorize": "cvzoo.factorization",
    "from_preset": "cvzoo.presets",
    "import_cplxmodule": "cvzoo.importers",
    "layers": "cvzoo.layers",
    "list_models": "cvzoo.models",
    "list_presets": "cvzoo.catalogue",
    "load_weights_from": "cvzoo.loading",
    "prune": "cvzoo.sparsifying",
    "register_model": "cvzoo.models",
    "round_weights": "cvzoo.rounding",
    "save_preset": "cvzoo.saving",
    "shrink": "cvzoo.shrinking",
    "sparsify": "cvzoo.sparsifying",
    "threshold_curve": "cvzoo.thresholds",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cvzoo' has no attribute {name!r}")
    module = importlib.import_module(_PUBLIC[name])
    value = module if _PUBLIC[name] == f"cvzoo.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})


def _is_the_command():
    """Whether this process is `cvzoo …` or `python -m cvzoo …`."""
    program = (getattr(sys, "argv", None) or [""])[0]
    if program == "-m":  # While Python looks for the module that it is to run.
        words = sys.orig_argv
        return "-m" in words and words[words.index("-m") + 1 :][:1] == ["cvzoo"]
    return Path(program).stem == "cvzoo"


# `import cvzoo` registers the layers, so that `keras.models.load_model` knows them. The
# command `cvzoo list` needs no Keras, whose import takes seconds.
if not _is_the_command():
    for _name in __all__:
        __getattr__(_name)
