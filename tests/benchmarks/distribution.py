"""What training on several replicas costs, and what it has to send.

Replicas are parts of one CPU here, which share its cores: what they cost can be seen,
what they gain cannot. Bytes are those of the gradients that the optimizer sums over
all replicas in a step. The times of larger clusters are reckoned, not measured: a ring
of N GPUs sends 2 (N - 1) / N times those bytes through each link, and waits 2 (N - 1)
times for the next message.
"""

import statistics
import time

import keras
import numpy as np
import tensorflow as tf

import cvzoo
from training import distribution, keras_gaps, sharing

ROUNDS, STEPS, WARM_UP = 5, 10, 3
GIGABITS = (10, 100)
GPUS = (8, 64)
MESSAGE_SECONDS = 20e-6
# Network and batch size of all replicas.
NETWORKS = {
    "dense 4096": (lambda: dense(4096), 512),
    "diagonal-circulant 4096": (lambda: circulant(4096), 512),
    "two_layer_dense, complex": (lambda: cvzoo.create_model("two_layer_dense"), 128),
    "the same with VD": (lambda: divergence("two_layer_dense"), 128),
    "radio_net": (lambda: cvzoo.create_model("radio_net"), 256),
}
REDUCED = {
    "dcnn, dense": lambda: cvzoo.create_model("dcnn", layer="dense", depth=1),
    "dcnn, diagonal-circulant": lambda: cvzoo.create_model("dcnn"),
    "scattering_dcnn": lambda: cvzoo.create_model("scattering_dcnn"),
    "lenet": lambda: cvzoo.create_model("lenet"),
    "two_layer_dense, complex": NETWORKS["two_layer_dense, complex"][0],
    "the same with VD": NETWORKS["the same with VD"][0],
    "radio_net": NETWORKS["radio_net"][0],
    "preset two_layer_dense … digits": lambda: preset("two_layer_dense"),
    "the same, before compression": lambda: before("two_layer_dense"),
    "preset radio_net": lambda: preset("radio_net"),
    "preset dcnn_digits": lambda: cvzoo.from_preset("dcnn_digits"),
}


class CountingAdam(keras_gaps.Adam):
    """Adam that tells how many bytes it sums over the replicas."""

    def _all_reduce_sum_gradients(self, grads_and_vars):
        self.summed = sum(
            gradient.shape.num_elements() * gradient.dtype.size
            for gradient, _ in grads_and_vars
        )
        return super()._all_reduce_sum_gradients(grads_and_vars)


def dense(units):
    """A dense layer, and ten classes."""
    x = keras.Input((units,))
    y = keras.layers.Dense(units, "relu")(x)
    return keras.Model(x, keras.layers.Dense(10)(y))


def circulant(units):
    """The same with a circulant for the first one."""
    x = keras.Input((units,))
    y = cvzoo.layers.DiagonalCirculant(units, activation="relu")(x)
    return keras.Model(x, keras.layers.Dense(10)(y))


def divergence(name):
    """A network of the zoo with variational dropout on all its weights."""
    model = cvzoo.create_model(name)
    return cvzoo.sparsify(model, cvzoo.VariationalDropout(0.1), n_train=1000)


def preset(start):
    """A compressed network that ships, with its masks."""
    names = [row.name for row in cvzoo.list_presets()]
    (name,) = [
        name
        for name in names
        if name.startswith(start) and "unit_ard_magnitude" in name
    ]
    return cvzoo.from_preset(name)


def before(name):
    """What such a network was made from."""
    return cvzoo.create_model(name, units=512, input_shape=(8, 8, 1))


def compiled(strategy, make):
    """A network to train with a strategy."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = make()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(CountingAdam(1e-4, global_clipnorm=1.0), loss)
    return model


class Watch(keras.callbacks.Callback):
    """Median milliseconds of a step, without the first ones."""

    def on_train_begin(self, logs=None):
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())

    def milliseconds(self):
        return 1000 * statistics.median(np.diff(self.ends[WARM_UP:]))


def trainer(strategy, make, batch_size):
    """A function that trains for some steps, and gives the milliseconds of one."""
    model = compiled(strategy, make)
    shape = (batch_size, *model.inputs[0].shape[1:])
    values = np.random.default_rng(0).normal(size=shape).astype("float32")
    batch = tf.cast(values, model.inputs[0].dtype), tf.zeros(batch_size, tf.int32)
    batches = tf.data.Dataset.from_tensors(batch).repeat()
    shares = sharing.training_batches(batches, strategy, batch_size)
    watch = Watch()

    def run():
        with keras_gaps.filled_for(strategy):
            model.fit(
                shares,
                steps_per_epoch=STEPS,
                shuffle=False,
                verbose=0,
                callbacks=[watch],
            )
        return watch.milliseconds()

    return run


def summed_bytes(make):
    """Bytes of gradients that two replicas sum in a step."""
    strategy = distribution.mirrored(2)
    model = compiled(strategy, make)

    @tf.function
    def step():
        gradients = [tf.zeros(one.shape) for one in model.trainable_variables]
        model.optimizer.apply(gradients, model.trainable_variables)

    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
    strategy.run(step)
    return model.optimizer.summed


def reckoned_milliseconds(size, gpus, gigabits):
    """Time of a ring's all-reduce of `size` bytes."""
    sent = 2 * (gpus - 1) / gpus * size
    return 1000 * (8e-9 * sent / gigabits + 2 * (gpus - 1) * MESSAGE_SECONDS)


def main():
    """Times here, bytes, and what follows for clusters."""
    distribution.mirrored(2)  # Before TensorFlow runs anything.
    # Of the two devices that there are now, one.
    one = tf.distribute.MirroredStrategy(["CPU:0"])
    strategies = {
        "plain": tf.distribute.get_strategy(),
        "mirrored, 1 replica": one,
        "mirrored, 2 replicas": distribution.mirrored(2),
    }
    print("a step, ms (bound ×1.1 with 1 replica for steps of 100 ms and more)")
    for name, (make, batch_size) in NETWORKS.items():
        runs = {
            label: trainer(strategy, make, batch_size)
            for label, strategy in strategies.items()
        }
        times = {label: [] for label in runs}
        for number in range(ROUNDS + 1):
            for label, run in runs.items():
                found = run()
                if number:
                    times[label].append(found)
        print(f"{name}, batch {batch_size}")
        for label, values in times.items():
            ratios = np.divide(values, times["plain"])
            print(
                f"  {label:42} {statistics.median(values):8.1f} ms   "
                f"×{statistics.median(ratios):.2f}",
                flush=True,
            )
    columns = [(gpus, gigabits) for gpus in GPUS for gigabits in GIGABITS]
    heads = "".join(f"{f'{n} GPUs, {g} Gbit/s':>20}" for n, g in columns)
    print(f"{'summed in a step':34} {'bytes':>12}{heads}")
    for name, make in REDUCED.items():
        size = summed_bytes(make)
        times = [reckoned_milliseconds(size, *column) for column in columns]
        cells = "".join(f"{time:17.2f} ms" for time in times)
        print(f"{name:34} {size:12,}{cells}")


if __name__ == "__main__":
    main()
