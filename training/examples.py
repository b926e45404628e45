"""A recipe's examples, and each replica's share of their batches."""

import importlib

import tensorflow as tf

from training import sharing


class Data:
    """A recipe's data set in memory; the training order is fixed by (seed, epoch).

    Args:
        config: A recipe.
        strategy: From `distribution.make_strategy`; one device for `None`.
    """

    def __init__(self, config, strategy=None):
        self.strategy = strategy or tf.distribute.get_strategy()
        sharing.check_batch_size(config["data"]["batch_size"], self.strategy)
        options = dict(config["data"])
        name, self.batch_size = options.pop("name"), options.pop("batch_size")
        self.options = options
        self.module = importlib.import_module(f"training.data.{name}")
        self.examples = {}
        for split in self.module.SPLITS:
            examples = self.module.load(split, **options)
            self.examples[split] = examples.batch(len(examples)).get_single_element()
        self.n_train = len(self.examples["train"][1])
        self.steps_per_epoch = -(-self.n_train // self.batch_size)
        self.seed = config["seed"]

    def training(self, epochs, first=0):
        """Batches of epochs `first` to `epochs - 1`, one after the other."""
        inputs, labels = self.examples["train"]

        def epoch(number):
            places = tf.random.experimental.stateless_shuffle(
                tf.range(self.n_train), seed=[self.seed, number]
            )
            return tf.data.Dataset.from_tensor_slices(places).batch(self.batch_size)

        batches = tf.data.Dataset.range(first, epochs).flat_map(epoch)
        batches = batches.map(lambda at: (tf.gather(inputs, at), tf.gather(labels, at)))
        shares = sharing.training_batches(batches, self.strategy, self.batch_size)
        return shares if shares is not batches else batches.prefetch(tf.data.AUTOTUNE)

    def evaluation(self, split):
        """Batches of a split, in order, and how many `evaluate` takes (`steps`)."""
        batches = tf.data.Dataset.from_tensor_slices(self.examples[split]).batch(1024)
        return sharing.evaluation_batches(batches, self.strategy)

    def size(self, split):
        """Number of examples of a split."""
        return len(self.examples[split][1])

    def groups(self, split):
        """A number for each example that scores are told apart by, or `None`."""
        if not hasattr(self.module, "groups"):
            return None
        return self.module.groups(split, **self.options)
