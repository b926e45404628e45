"""Processes that train, or do other long work, side by side, one core each."""

import concurrent.futures
import multiprocessing

import rich.console
import rich.progress

# Modules that import TensorFlow are imported inside functions: the demo first sends
# its native messages to a file.

WORKERS = 2

console = rich.console.Console()


def pool(with_tensorflow=True):
    """An executor of processes in which TensorFlow uses one core.

    Args:
        with_tensorflow: Whether they need it. Importing it takes seconds.
    """
    return concurrent.futures.ProcessPoolExecutor(
        WORKERS,
        multiprocessing.get_context("spawn"),
        initializer=_prepare_worker if with_tensorflow else None,
    )


def wait(futures, label):
    """Results of futures, in order, with a progress bar until all are there.

    The first that fails cancels those that have not begun.
    """
    columns = (
        rich.progress.TextColumn(label),
        rich.progress.BarColumn(bar_width=24),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
    )
    with rich.progress.Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=len(futures))
        for future in concurrent.futures.as_completed(futures):
            if future.exception() is not None:
                for other in futures:
                    other.cancel()
                raise future.exception()
            bar.advance(task)
    return [future.result() for future in futures]


def _prepare_worker():
    import tensorflow as tf

    # Many small models are traced in turn; TensorFlow warns of that.
    tf.get_logger().setLevel("ERROR")

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
