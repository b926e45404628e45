"""SavedModels that hold their weights packed, and unpack them when they are loaded."""

import collections
import functools
import hashlib
import tempfile
from pathlib import Path

from cvzoo.exporting import serving, streams

# Bytes that a resource and its function take in the graph. What is no larger than its
# packed weights and these is a constant.
_OF_A_RESOURCE = 3000


def write(parts, served, folder):
    """Writes a SavedModel.

    Args:
        parts: A `splitting.Split`.
        served: A `signatures.Served`, of the same model.
        folder: An empty folder.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as scratch:
        module = tf.Module()
        module.assets = []
        read = _readers(parts, module, Path(scratch))

        def infer(inputs):
            return list(parts.serve(*inputs, *(one() for one in read)))

        module.served, signatures = served.signatures(infer, Path(scratch))
        # Gradients would be of the whole inference, before it was split.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(folder), signatures, options)
        serving.check_operations(folder)


def _readers(parts, module, scratch):
    """Functions that give the tensors which the first part of the inference hands over.

    Those that are small are constants of the graph, others are made when the SavedModel
    is loaded, of weights in its assets.
    """
    import tensorflow as tf

    values = [value.numpy() for value in parts.prepared()]
    packed = [streams.encode(one.numpy()) for one in parts.weights]
    digest = hashlib.sha256()
    for value in values:
        digest.update(f"{value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    # In loaders that share resources, those of one name are one.
    prefix = f"cvzoo_{digest.hexdigest()[:16]}"
    resource, weights = _resource_class(), {}
    uses = collections.Counter(place for needed, _ in parts.prepare for place in needed)
    module.loaded, readers = [], []
    for number, (needed, function) in enumerate(parts.prepare):
        value = values[number]
        size = sum(len(packed[place].data) / uses[place] for place in needed)
        if value.nbytes <= size + _OF_A_RESOURCE:
            readers.append(functools.partial(tf.constant, value))
            continue
        for place in needed:
            if place not in weights:
                weights[place] = _weight(module, packed[place], scratch)

        def make(needed=needed, function=function):
            return function(*(weights[place]() for place in needed))[0]

        module.loaded.append(resource(f"{prefix}_{number}", value, make))
        readers.append(module.loaded[-1].read)
    return readers


def _weight(module, stream, scratch):
    """Function that makes a weight of a file of the assets, when these are loaded."""
    import tensorflow as tf

    file = scratch / f"weight_{len(module.assets):04}.bin"
    file.write_bytes(stream.data)
    asset = tf.saved_model.Asset(str(file))
    module.assets.append(asset)
    return lambda: streams.decode(stream, tf.io.read_file(asset.asset_path))


def _resource_class():
    import tensorflow as tf

    class Loaded(tf.saved_model.experimental.TrackableResource):
        """A tensor that is made when the SavedModel is loaded, and only read then.

        Args:
            name: Under which all that load it find it.
            value: Its value; only the shape and type are used.
            make: Function that returns it.
        """

        def __init__(self, name, value, make):
            super().__init__()
            self._name, self._make = name, make
            self._dtype, self._shape = value.dtype, value.shape

        def _create_resource(self):
            return tf.raw_ops.VarHandleOp(
                dtype=self._dtype, shape=self._shape, shared_name=self._name
            )

        def _initialize(self):
            tf.raw_ops.AssignVariableOp(
                resource=self.resource_handle, value=self._make()
            )

        def read(self):
            value = tf.raw_ops.ReadVariableOp(
                resource=self.resource_handle, dtype=self._dtype
            )
            return tf.ensure_shape(value, self._shape)

    return Loaded
