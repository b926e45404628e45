"""Speed and sizes: `make bench`, or `make bench ONLY=convolution`.

Each line of a table of speeds gives medians in milliseconds and the median of the
ratios to the first line, within one run.
"""

import importlib
import sys

ALL = (
    *("convolution", "normalization", "circulant", "displacement", "packing"),
    *("sparsify", "shrinking", "networks", "vgg", "images", "distribution"),
    *("prepare_musicnet", "render_chorales", "windows", "frames", "video", "presets"),
    *("start", "exports"),
)


def main(names):
    """Runs some benchmarks, all of them by default."""
    unknown = set(names) - set(ALL)
    if unknown:
        sys.exit(f"No benchmarks are called {sorted(unknown)}. Known: {', '.join(ALL)}")
    for name in names or ALL:
        importlib.import_module(f"tests.benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
