"""The frames of videos: numbers of shards made features, and samples of them."""

import keras
from keras import ops as kops

from cvzoo.layers.linear import check_choice, check_size
from cvzoo.ops.noise import replica_uniform

EVALUATIONS = ("even", "random")
# Features are in [-2, 2]; a byte stands for the middle of 255 equal steps, with the
# half step of the reference code (4/512, not 4/510).
STEP, OFFSET = 4 / 255, 4 / 512 - 2
# As in `tf.nn.l2_normalize`.
SMALLEST_SQUARE = 1e-12


@keras.saving.register_keras_serializable("cvzoo")
class DequantizeFrames(keras.layers.Layer):
    """Bytes of YouTube-8M's frames → features of length 1, and padding → 0.

    A byte q becomes `q · 4/255 + 4/512 − 2`; features that are floats already stay as
    they are. Then each frame is divided by its length, over all streams together.
    Whatever padding holds, NaN too, is replaced by 0.

    Args:
        normalize: Whether frames are divided by their lengths.

    Call arguments:
        inputs: List of one or more streams, each `(batch, time, features)`, integers or
            floats, and the number of frames of each video, integers `(batch,)`; or one
            stream, all of whose frames count. Numbers above `time` are taken as `time`,
            and those below 0 as 0.
        mask: Boolean `(batch, time)`, or a list with one for each input: which frames
            count, besides.

    Returns:
        One stream, or a list of them where there are several.

    Raises:
        ValueError: A list without numbers of frames at its end.

    Reference:
        Paper 1, §6.3, and its code; google/youtube-8m, `utils.Dequantize`.
    """

    def __init__(self, normalize=True, **kwargs):
        super().__init__(**kwargs)
        self.normalize = normalize
        self.supports_masking = True

    def call(self, inputs, mask=None):
        streams, present = open_frames(self, inputs, mask)
        streams = [self._features(stream, present) for stream in streams]
        if self.normalize:
            square = sum(
                kops.sum(kops.square(stream), axis=-1, keepdims=True)
                for stream in streams
            )
            scale = kops.rsqrt(kops.maximum(square, SMALLEST_SQUARE))
            streams = [stream * scale for stream in streams]
        streams = [kops.cast(stream, self.compute_dtype) for stream in streams]
        return streams if len(streams) > 1 else streams[0]

    def _features(self, stream, present):
        # In float32: squares of small numbers vanish in half precision.
        is_quantized = keras.backend.is_int_dtype(stream.dtype)
        features = kops.cast(stream, "float32")
        if is_quantized:
            features = features * STEP + OFFSET
        return only_present(features, present)

    def compute_mask(self, inputs, previous_mask=None):
        # Layers after this one are given the numbers of frames as well.
        return None

    def compute_output_shape(self, input_shape):
        shapes = stream_shapes(input_shape)
        return shapes if len(shapes) > 1 else shapes[0]

    def get_config(self):
        return {**super().get_config(), "normalize": self.normalize}


@keras.saving.register_keras_serializable("cvzoo")
class FrameSampler(keras.layers.Layer):
    """Bags of frames, drawn from each video with replacement.

    With n frames that count, frame ⌊u · n⌋ of them is drawn. In training u is uniform
    in [0, 1), anew for each place. A video without frames gives zeros.

    Args:
        bags: Number of bags. A network is applied to each, and its outputs averaged:
            the robust pooling of paper 1.
        frames: Number of frames in a bag.
        evaluation: How frames are drawn outside of training. `"even"`: u is
            (k + ½)/(bags · frames), and every bag spans the video; always the same.
            `"random"`: as in training, which is what the paper did; such a model
            cannot be exported.
        seed: Seed of the draws.

    Call arguments:
        inputs: List of one or more streams, each `(batch, time, features)`, and the
            number of frames of each video, integers `(batch,)`; or one stream, all of
            whose frames count. Of all streams the same frames are drawn.
        training: Whether u is random.
        mask: Boolean `(batch, time)`, or a list with one for each input: which frames
            count, besides.

    Returns:
        One stream `(batch, bags, frames, features)`, or a list of them.

    Raises:
        ValueError: A list without numbers of frames at its end.

    Reference:
        Paper 1, §6.3, and its code.
    """

    def __init__(self, bags=10, frames=15, evaluation="even", seed=None, **kwargs):
        super().__init__(**kwargs)
        self.bags = check_size("bags", bags)
        self.frames = check_size("frames", frames)
        self.evaluation = check_choice("evaluation", evaluation, EVALUATIONS)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs, training=False, mask=None):
        streams, present = open_frames(self, inputs, mask)
        batch, time = kops.shape(streams[0])[:2]
        if present is None:
            present = kops.ones((batch, time), "bool")
        count = kops.sum(kops.cast(present, "int32"), axis=1, keepdims=True)
        if training or self.evaluation == "random":
            chosen = self._random(batch, count)
        else:
            chosen = self._even(count)
        # Frames that count come first, in their order.
        place = kops.arange(time, dtype="int32")
        order = kops.argsort(kops.where(present, place, place + time), axis=1)
        rows = kops.arange(batch, dtype="int32")[:, None] * time
        places = kops.take(kops.reshape(order, (-1,)), chosen + rows, axis=0)
        places = kops.cast(places, "int32") + rows
        drawn = [self._drawn(stream, places, count > 0) for stream in streams]
        return drawn if len(drawn) > 1 else drawn[0]

    def _random(self, batch, count):
        shape = (batch, self.bags * self.frames)
        uniform = replica_uniform(shape, self.seed_generator, "float32")
        chosen = kops.cast(uniform * kops.cast(count, "float32"), "int32")
        # Rounding of the product may reach the number of frames.
        return kops.maximum(kops.minimum(chosen, count - 1), 0)

    def _even(self, count):
        """Of whole numbers, for exact steps; one bag's frames are not neighbours."""
        number = kops.reshape(
            kops.arange(self.bags * self.frames, dtype="int32"),
            (self.frames, self.bags),
        )
        number = kops.reshape(kops.transpose(number), (1, -1))
        return (2 * number + 1) * count // (2 * self.bags * self.frames)

    def _drawn(self, stream, places, has_any):
        *_, features = stream.shape
        flat = kops.reshape(stream, (-1, features))
        drawn = kops.take(flat, places, axis=0)
        drawn = only_present(drawn, has_any)
        return kops.reshape(drawn, (-1, self.bags, self.frames, features))

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        shapes = [
            (batch, self.bags, self.frames, features)
            for batch, _, features in stream_shapes(input_shape)
        ]
        return shapes if len(shapes) > 1 else shapes[0]

    def compute_output_spec(self, inputs, training=False, mask=None):
        # Bytes stay bytes.
        dtype = keras.tree.flatten(inputs)[0].dtype
        shapes = keras.tree.map_structure(lambda one: tuple(one.shape), inputs)
        return keras.tree.map_shape_structure(
            lambda shape: keras.KerasTensor(shape, dtype=dtype),
            self.compute_output_shape(shapes),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "bags": self.bags,
            "frames": self.frames,
            "evaluation": self.evaluation,
            "seed": self.seed,
        }


def open_frames(layer, inputs, mask=None):
    """Streams of frames, and which of their frames count.

    Args:
        layer: The layer that was given the inputs.
        inputs: A stream, or a list of streams and numbers of frames.
        mask: Boolean, a list of such, or `None`.

    Returns:
        List of streams `(..., time, features)`, and a boolean `(..., time)` or `None`
        where all frames count.
    """
    if not isinstance(inputs, list | tuple):
        return [inputs], mask
    *streams, count = inputs
    if not streams or len(count.shape) != len(streams[0].shape) - 2:
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}' takes frames, or a list of frames "
            "(batch, time, features) and their numbers (batch,) at its end. Received "
            f"shapes {[tuple(one.shape) for one in inputs]}"
        )
    time = kops.shape(streams[0])[-2]
    present = kops.arange(time, dtype="int32") < kops.cast(count, "int32")[..., None]
    masks = mask if isinstance(mask, list | tuple) else [mask]
    for one in masks:
        if one is not None:
            present = kops.logical_and(present, one)
    return streams, present


def only_present(frames, present):
    """Frames with zeros where they do not count."""
    if present is None:
        return frames
    # Not a product: what padding holds need not be finite, nor its gradient.
    return kops.where(present[..., None], frames, kops.zeros_like(frames))


def stream_shapes(shapes):
    """Shapes of the streams among the shapes of inputs."""
    if shapes and isinstance(shapes[0], list | tuple):
        return [tuple(shape) for shape in shapes[:-1] or shapes]
    return [tuple(shapes)]
