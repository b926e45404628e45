"""What a network is traced for: training and inference here, or an export.

Exports need no gradients of their own, and LiteRT has few operations.
"""

import contextlib
import contextvars

_TARGET = contextvars.ContextVar("target", default=None)


@contextlib.contextmanager
def traced_for(target):
    """Within, operations are chosen for `"tf_saved_model"` or `"litert"`."""
    token = _TARGET.set(target)
    try:
        yield
    finally:
        _TARGET.reset(token)


def is_litert():
    """Whether only what LiteRT has built in may be used."""
    return _TARGET.get() == "litert"


def needs_gradients():
    """Whether anything may be differentiated."""
    return _TARGET.get() is None
