"""Time and memory of `sparsify`, `prune` and `shrink` on ResNet50.

Memory is what the process holds at most during a call, above what it held before, as a
multiple of the bytes of the network's weights. Read from /proc, so on Linux only.
"""

import threading
import time

import keras

import cvzoo
from cvzoo import sparsity

PAGE = 4096
SECONDS, FACTOR = 60, 5


def resident():
    """Bytes of memory that the process holds."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return PAGE * int(file.read().split()[1])


def measured(function):
    """What a function returns, its seconds, and its peak of memory in bytes."""
    before = peak = resident()
    done = threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return result, seconds, max(peak, resident()) - before


def sparsified(model):
    """The network, of which a third of all filters will be pruned."""
    sparse = cvzoo.sparsify(model, cvzoo.VariationalDropout(1.0, 1000))
    for layer in sparsity.sparse_layers(sparse):
        log_sigma2 = keras.ops.convert_to_numpy(layer.log_sigma2).copy()
        log_sigma2[..., ::3] = 10
        layer.log_sigma2.assign(log_sigma2)
    return sparse


def main():
    """One call of each, in a row."""
    model = keras.applications.ResNet50(weights=None)
    size = sum(value.nbytes for value in model.get_weights())
    print(f"ResNet50, {size / 2**20:.0f} MiB (bounds {SECONDS} s in all, ×{FACTOR})")
    for call in (sparsified, cvzoo.prune, cvzoo.shrink):
        model, seconds, peak = measured(lambda call=call, model=model: call(model))
        print(f"  {call.__name__:42} {seconds:8.1f} s    ×{peak / size:.1f}")
    print(f"  {'parameters left':42} {model.count_params():,}")
