"""Training, evaluation and baselines of the zoo, from a checkout."""

import os

# TensorFlow uses oneDNN by itself only on CPUs with AVX-512 VNNI. On one without it,
# steps of this zoo's networks took 1.1 to 1.8 times as long as with it (one core of an
# AMD EPYC that did other work too, 2026-11-26). It is read when TensorFlow is imported,
# which comes later.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
