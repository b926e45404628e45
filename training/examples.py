"""A recipe's examples, and each replica's share of their batches."""

import tensorflow as tf

import training.data
from cvzoo.models import registry
from training import keras_gaps, recipe_parts, sharing


class Data:
    """What stages need of a recipe's data; `training.datasets.open_data` makes it.

    Args:
        config: A recipe.
        strategy: From `distribution.make_strategy`; one device for `None`.

    Attributes:
        source: What reads the data set, see `training.data`.
        options: The recipe's, for the source.
        splits: Names of the splits that have examples, that of training first.
        n_train: Examples in an epoch.
        steps_per_epoch: Batches in an epoch.
        metric: What a network's score is, as `scores.json` and tables call it.
    """

    def __init__(self, config, strategy=None):
        self.strategy = strategy or tf.distribute.get_strategy()
        sharing.check_batch_size(config["data"]["batch_size"], self.strategy)
        options = dict(config["data"])
        name, self.batch_size = options.pop("name"), options.pop("batch_size")
        self.options = options
        self.source = training.data.find(name)
        self.seed = config["seed"]
        self.metric = recipe_parts.metric(config)

    @property
    def about(self):
        """What the source tells about the data; synthetic examples are called so."""
        about = dict(self.source.ABOUT)
        if self.options.get("synthetic"):
            name = f"SYNTHETIC examples in the shape of {about['name']}"
            about |= {"name": name, "source": "random", "licence": "Apache-2.0"}
        return about

    @property
    def classes(self):
        """Names of the classes."""
        return self.source.CLASSES

    @property
    def held_out(self):
        """Names of the splits that scores are of."""
        return [split for split in self.splits if split != "train"]

    def score(self, model, split):
        """A model's score on a split."""
        return float(self.measures(model, split)[self.metric])

    def measures(self, model, split):
        """The loss and metrics of a compiled model on a split, by name."""
        batches, steps = self.evaluation(split)
        with keras_gaps.filled_for(self.strategy):
            return model.evaluate(batches, steps=steps, return_dict=True, verbose=0)

    def scores(self, model):
        """Split that scores are of → a model's score."""
        return {split: self.score(model, split) for split in self.held_out}

    def check_fits(self, model):
        """Raises unless a network's input and outputs are those of the data.

        Args:
            model: Name and arguments of an architecture, as in a recipe.
        """
        if model["name"] not in registry.list_models():
            return  # `create_model` names what there is.
        for key, value in self.expected_of_model().items():
            found = registry.argument(model["name"], key, model)
            found = list(found) if isinstance(found, tuple) else found
            if found != value:
                raise ValueError(
                    f"`model.{key}` must be {value} for the data set "
                    f"{self.about['name']!r}. Received: {found}"
                )

    def groups(self, split):
        """A number for each example that scores are told apart by, or `None`."""
        if not hasattr(self.source, "groups"):
            return None
        return self.source.groups(split, **self.options)


class InMemory(Data):
    """A data set of examples in memory; the training order is fixed by (seed, epoch).

    Images stay bytes there: what comes out of the methods has inputs of float32.

    Attributes:
        examples: Name of each split that has examples → inputs and labels.
    """

    def __init__(self, config, strategy=None):
        super().__init__(config, strategy)
        self.examples = {}
        for split in self.source.SPLITS:
            examples = self.source.load(split, **self.options)
            if size := len(examples):
                self.examples[split] = examples.batch(size).get_single_element()
        self.splits = list(self.examples)
        self.n_train = len(self.examples["train"][1])
        self.steps_per_epoch = -(-self.n_train // self.batch_size)

    def training(self, epochs, first=0):
        """Batches of epochs `first` to `epochs - 1`, one after the other.

        What is random in a batch depends on (seed, epoch, step) only.
        """

        def epoch(number):
            seed = [self.seed, number]
            places = tf.random.experimental.stateless_shuffle(
                tf.range(self.n_train), seed
            )
            steps = tf.data.Dataset.from_tensor_slices(places).batch(self.batch_size)
            return steps.enumerate().map(
                lambda step, at: (at, tf.random.fold_in(seed, step))
            )

        batches = tf.data.Dataset.range(first, epochs).flat_map(epoch)
        batches = batches.map(self._training_batch)
        shares = sharing.training_batches(batches, self.strategy, self.batch_size)
        return shares if shares is not batches else batches.prefetch(tf.data.AUTOTUNE)

    def _training_batch(self, places, seed):
        inputs, labels = (tf.gather(whole, places) for whole in self.examples["train"])
        if hasattr(self.source, "augment"):
            inputs = self.source.augment(inputs, seed, **self.options)
        return as_floats(inputs), labels

    def evaluation(self, split):
        """Batches of a split, in order, and how many `evaluate` takes (`steps`)."""
        batches = tf.data.Dataset.from_tensor_slices(self.examples[split]).batch(1024)
        batches = batches.map(lambda inputs, labels: (as_floats(inputs), labels))
        return sharing.evaluation_batches(batches, self.strategy)

    def arrays(self, split, first=None):
        """Inputs and labels of a split, or of its first examples, as numpy arrays."""
        inputs, labels = (whole[:first] for whole in self.examples[split])
        return as_floats(inputs).numpy(), labels.numpy()

    def size(self, split):
        """Number of examples of a split."""
        return len(self.examples[split][1])

    def expected_of_model(self):
        """Arguments that an architecture must have for the data."""
        inputs, _ = self.examples["train"]
        return {
            "input_shape": list(inputs.shape[1:]),
            "classes": len(self.source.CLASSES),
        }


def as_floats(inputs):
    """Bytes as float32 from 0 to 1; other inputs as they are."""
    if inputs.dtype != tf.uint8:
        return inputs
    return tf.image.convert_image_dtype(inputs, tf.float32)
