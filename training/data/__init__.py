"""Data sets. Each module has `load(split, **options)`, a `tf.data.Dataset`."""
