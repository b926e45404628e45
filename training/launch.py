"""Starts several workers on this machine, and ends all when one fails.

    python -m training.launch --local 2 [--module training.train] ARGUMENTS…

Each worker is `python -m MODULE ARGUMENTS…` with its own `TF_CONFIG`: free ports of
this machine. Their output comes with the worker's number in front of each line. The
exit status is that of the first worker that failed.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

from training.cluster import free_ports, tf_config

GRACE_SECONDS = 5
_PR_SET_PDEATHSIG = 1


def main(arguments=None):
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.launch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--local", type=int, required=True, metavar="N", help="number of workers"
    )
    parser.add_argument("--module", default="training.train", help="what each runs")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if options.local < 1:
        parser.error(f"--local must be positive. Received: {options.local}")
    if {"one_device", "mirrored"}.intersection(options.arguments):
        parser.error(
            "workers train together by --strategy multi_worker, which is the default "
            f"here. Received: {' '.join(options.arguments)}"
        )
    command = [sys.executable, "-m", options.module, *options.arguments]
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run(command, options.local)
    except KeyboardInterrupt:
        print("training.launch: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def run(command, workers):
    """Runs a command as several workers; returns the exit status."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    processes = []
    try:
        for index in range(workers):
            processes.append(_start(command, addresses, index))
        readers = [
            threading.Thread(target=_pass_on, args=(process.stdout, index), daemon=True)
            for index, process in enumerate(processes)
        ]
        for reader in readers:
            reader.start()
        status = _watch(processes)
        _end(processes)
        for reader in readers:
            reader.join(GRACE_SECONDS)
        return status
    finally:
        _end(processes)


def _start(command, addresses, index):
    config = tf_config(addresses, index)
    return subprocess.Popen(
        command,
        env={**os.environ, "TF_CONFIG": config, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A group of its own, which is ended as a whole; Ctrl-C reaches this process
        # alone.
        start_new_session=True,
        preexec_fn=_end_with(os.getpid()),
    )


def _end_with(parent):
    """A function that makes a new process end when its parent is killed (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def in_child():
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # It was killed before the line above.

    return in_child


def _pass_on(stream, index):
    is_read = True
    for line in stream:  # To its end: a pipe that is full would stop the worker.
        text = line.decode(errors="replace")
        try:
            if is_read:
                sys.stdout.write(f"[{index}] {text}")
                sys.stdout.flush()
        except OSError:
            is_read = False  # As by `| head`.


def _watch(processes):
    """Waits until one worker fails or all are done; returns the exit status."""
    running = dict(enumerate(processes))
    while running:
        for index, process in list(running.items()):
            status = process.poll()
            if status is None:
                continue
            del running[index]
            if status != 0:
                how = f"status {status}" if status > 0 else f"signal {-status}"
                others = "; the others are stopped" if running else ""
                print(
                    f"training.launch: worker {index} (process {process.pid}) ended "
                    f"with {how}{others}",
                    file=sys.stderr,
                )
                return status if status > 0 else 128 - status
        time.sleep(0.05)
    return 0


def _end(processes):
    """Ends what is left of each worker's group, after a while by force."""
    for how, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, None)):
        left = [process for process in processes if process.poll() is None]
        for process in processes:
            # Of a worker that has ended, what it started may be left.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, how)
        deadline = time.monotonic() + (seconds or 0)
        for process in left:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds and max(0.0, deadline - time.monotonic()))


def _interrupt(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
