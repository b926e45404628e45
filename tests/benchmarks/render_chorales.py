"""How fast chorales are rendered, by the time of one core: score to sound and notes."""

import time

from training.data.chorales import rendering, scores, works
from training.data.recordings import HERTZ

COUNT, ASKED = 20, 20


def main():
    """All benchmarks."""
    heard = [scores.read(scores.folder() / work.file) for work in works.used()[:COUNT]]
    rendering.render(heard[0], seed=0)  # Loads what is loaded once.
    print(f"Rendering, times real time by one core's time (asked ×{ASKED} or more)")
    for name, options in (
        ("train", {"is_transposed": True}),
        ("test", {}),
        ("test_unseen", {"is_unseen": True}),
    ):
        start, samples = time.process_time(), 0
        for seed, score in enumerate(heard):
            samples += len(rendering.render(score, seed, **options).audio)
        spent = time.process_time() - start
        print(f"  {name:42} ×{samples / HERTZ / spent:.0f}")


if __name__ == "__main__":
    main()
