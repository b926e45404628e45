"""What TensorFlow Serving looks for beside a SavedModel, and what it can run."""

import functools
from pathlib import Path

import numpy as np

# Operations that TensorFlow 2.20 knows, as the newest Serving does; a line each, as its
# `pywrap_tf_session.TF_GetAllOpList()` has them.
_KNOWN = Path(__file__).with_name("serving_operations.txt")
_SERVING = "2.20"
WARMUP = Path("assets.extra", "tf_serving_warmup_requests")
BATCHING = "batching_params.pbtxt"
SMALLEST_BATCH = 64
# Batches of a request that is taken apart into them, at most.
_BATCHES_OF_A_REQUEST = 64
# Of the messages `PredictionLog`, `PredictLog`, `PredictRequest`, `ModelSpec` and of an
# entry of a map: numbers of the fields that are written.
_PREDICT_LOG, _REQUEST, _MODEL, _INPUTS, _SIGNATURE = 6, 1, 1, 2, 3
_KEY, _VALUE = 1, 2


def nodes(definition):
    """All nodes of a graph's definition, those of its functions included."""
    return [
        *definition.node,
        *(node for one in definition.library.function for node in one.node_def),
    ]


@functools.cache
def known_operations():
    """Names of the operations that TensorFlow Serving can run."""
    return frozenset(_KNOWN.read_text(encoding="utf-8").split())


def check_operations(folder):
    """Raises where a SavedModel has an operation that is too new for Serving."""
    from tensorflow.core.protobuf import saved_model_pb2

    from cvzoo.exporting.errors import ExportError

    written = saved_model_pb2.SavedModel()
    written.ParseFromString(Path(folder, "saved_model.pb").read_bytes())
    definition = written.meta_graphs[0].graph_def
    functions = {one.signature.name for one in definition.library.function}
    found = {node.op for node in nodes(definition)} - functions - known_operations()
    if found:
        raise ExportError(
            f"TensorFlow Serving {_SERVING} does not know operations of this network: "
            f"{sorted(found)}."
        )


def write_warmup(folder, requests):
    """Requests that a server runs before it says that the model is ready.

    Args:
        folder: The SavedModel.
        requests: `(signature, inputs)` of each, inputs being name → `(shape, dtype)`;
            they are zeros.
    """
    import tensorflow as tf

    path = Path(folder, WARMUP)
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            writer.write(_prediction_log(signature, inputs))


def write_batching(folder, batch_size):
    """How a server makes batches of requests: read with
    `--enable_batching --enable_per_model_batching_parameters`, threads aside, which
    are the server's.

    Args:
        folder: The SavedModel.
        batch_size: Examples of a batch, at most. Larger requests are taken apart.
    """
    text = (
        f"max_batch_size {{ value: {_BATCHES_OF_A_REQUEST * batch_size} }}\n"
        "enable_large_batch_splitting { value: true }\n"
        f"max_execution_batch_size {{ value: {batch_size} }}\n"
        "batch_timeout_micros { value: 1000 }\n"
        "max_enqueued_batches { value: 100 }\n"
    )
    Path(folder, BATCHING).write_text(text, encoding="utf-8")


def _prediction_log(signature, inputs):
    """A `PredictionLog` of one request, in the wire format of protocol buffers.

    Its classes are in the package `tensorflow-serving-api`, which nothing else needs.
    """
    import tensorflow as tf

    request = _field(_MODEL, _field(_SIGNATURE, signature.encode()))
    for name, (shape, dtype) in inputs.items():
        # One value stands for all.
        zero = np.zeros((), dtype)[()]
        tensor = tf.make_tensor_proto(zero, dtype, shape).SerializeToString()
        entry = _field(_KEY, name.encode()) + _field(_VALUE, tensor)
        request += _field(_INPUTS, entry)
    return _field(_PREDICT_LOG, _field(_REQUEST, request))


def _field(number, content):
    """A field of bytes: its number and type, its length, its content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number):
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])
