"""Speed and memory of preparing MusicNet: one long recording of noise for training.

Unpacking the archive is not measured: that is gzip and the disk.
"""

import concurrent.futures
import multiprocessing
import re
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from training.data import musicnet, synthetic_musicnet
from training.data.musicnet_recordings import PUBLISHED_HERTZ

MINUTES = (10, 180)


def write(folder, minutes):
    """The unpacked archive: a recording of so many minutes, and two of one minute."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.1, 60 * PUBLISHED_HERTZ).astype(np.float32)
    begins = np.arange(0, len(noise), 9000)
    notes = np.stack([begins, begins + 9000, np.full(len(begins), 60)], axis=1)
    synthetic_musicnet.write_unpacked(
        folder,
        (
            synthetic_musicnet.Synthetic(name, np.tile(noise, length), notes)
            for name, length in (("1727", minutes), ("2131", 1), ("2303", 1))
        ),
    )


def peak():
    """The most memory that this process ever had, in MiB; on Linux."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1)) / 1024


def measured(folder):
    """Seconds that preparing takes, those of CPU, and memory before and at its peak."""
    warnings.simplefilter("ignore")
    before, start, busy = peak(), time.perf_counter(), time.process_time()
    musicnet.prepare(Path(folder, "sets"), folder)
    return time.perf_counter() - start, time.process_time() - busy, before, peak()


def main():
    """All benchmarks."""
    # Another process each time: memory that was used once stays at its peak.
    context = multiprocessing.get_context("spawn")
    for minutes in MINUTES:
        with (
            tempfile.TemporaryDirectory() as folder,
            concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as process,
        ):
            write(folder, minutes)
            seconds, busy, before, most = process.submit(measured, folder).result()
        length = 60 * (minutes + 2)
        print(
            f"MusicNet, {minutes} minutes: ×{length / seconds:,.0f} real time, "
            f"×{length / busy:,.0f} by CPU time; {most:,.0f} MiB of memory, "
            f"{before:,.0f} MiB before"
        )


if __name__ == "__main__":
    main()
