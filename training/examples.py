"""A recipe's examples, and each replica's share of their batches."""

import tensorflow as tf

import training.data
from cvzoo.models import registry
from training import sharing


class Data:
    """A recipe's data set in memory; the training order is fixed by (seed, epoch).

    Images stay bytes there: what comes out of the methods has inputs of float32.

    Args:
        config: A recipe.
        strategy: From `distribution.make_strategy`; one device for `None`.

    Attributes:
        source: What reads the data set, see `training.data`.
        examples: Name of each split that has examples → inputs and labels.
    """

    def __init__(self, config, strategy=None):
        self.strategy = strategy or tf.distribute.get_strategy()
        sharing.check_batch_size(config["data"]["batch_size"], self.strategy)
        options = dict(config["data"])
        name, self.batch_size = options.pop("name"), options.pop("batch_size")
        self.options = options
        self.source = training.data.find(name)
        self.examples = {}
        for split in self.source.SPLITS:
            examples = self.source.load(split, **options)
            if size := len(examples):
                self.examples[split] = examples.batch(size).get_single_element()
        self.n_train = len(self.examples["train"][1])
        self.steps_per_epoch = -(-self.n_train // self.batch_size)
        self.seed = config["seed"]

    @property
    def about(self):
        """What the source tells about the data; synthetic examples are called so."""
        about = dict(self.source.ABOUT)
        if self.options.get("synthetic"):
            name = f"SYNTHETIC examples in the shape of {about['name']}"
            about |= {"name": name, "source": "random", "licence": "Apache-2.0"}
        return about

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

    def check_fits(self, model):
        """Raises unless a network's input and outputs are those of the data.

        Args:
            model: Name and arguments of an architecture, as in a recipe.
        """
        if model["name"] not in registry.list_models():
            return  # `create_model` names what there is.
        inputs, _ = self.examples["train"]
        expected = {
            "input_shape": list(inputs.shape[1:]),
            "classes": len(self.source.CLASSES),
        }
        for key, value in expected.items():
            found = registry.argument(model["name"], key, model)
            found = list(found) if key == "input_shape" else found
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


def as_floats(inputs):
    """Bytes as float32 from 0 to 1; other inputs as they are."""
    if inputs.dtype != tf.uint8:
        return inputs
    return tf.image.convert_image_dtype(inputs, tf.float32)
