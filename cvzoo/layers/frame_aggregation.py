"""What aggregations of frames share."""

from keras import ops as kops

from cvzoo.layers.frame_normalization import FrameNormalization
from cvzoo.layers.frames import only_present, open_frames
from cvzoo.layers.linear import check_size
from cvzoo.layers.projection import (
    EPSILON,
    MOMENTUM,
    ProjectedLayer,
    fan_in_normal,
    normal,
)


class FrameAggregation(ProjectedLayer):
    """Base: each frame is projected to clusters and normalised, then frames are merged.

    A class gives `aggregate(frames, projected, present)`, for float32 tensors
    `(..., time, features)` and `(..., time, clusters)` and a boolean `(..., time)` or
    `None`; and `output_size(features)`.

    Args:
        clusters: Number of clusters.
        momentum: Of the batch norm.
        **kwargs: `projection`, `rank` and `initialization`, of `ProjectedLayer`.
    """

    def __init__(self, clusters, *, momentum=MOMENTUM, **kwargs):
        super().__init__(**kwargs)
        self.clusters = check_size("clusters", clusters)
        self.momentum = momentum
        self.projected = self.make(
            "projected",
            self.clusters,
            dense_initializer=fan_in_normal(),
            circulant_initializer=normal(1 / self.clusters),
        )
        self.norm = FrameNormalization(
            momentum=momentum, epsilon=EPSILON, dtype=self.dtype_policy, name="norm"
        )

    def build(self, input_shape):
        shape = _frames_shape(input_shape)
        self.features = self.check_features(shape)
        self.projected.build(shape)
        self.norm.build((*shape[:-1], self.clusters))
        self.built = True

    def call(self, inputs, training=False, mask=None):
        streams, present = open_frames(self, inputs, mask)
        if len(streams) > 1:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' takes one stream of frames. "
                f"Received {len(streams)}; give each stream a layer of its own."
            )
        frames = kops.cast(only_present(streams[0], present), self.compute_dtype)
        projected = self.projected(frames)
        projected = self.norm(projected, training=training, mask=present)
        # In float32: sums over frames and small lengths leave half precision.
        wide = [kops.cast(one, "float32") for one in (frames, projected)]
        return kops.cast(self.aggregate(*wide, present), self.compute_dtype)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        *leading, _, features = _frames_shape(input_shape)
        return (*leading, self.output_size(features))

    def get_config(self):
        return {
            **super().get_config(),
            "clusters": self.clusters,
            "momentum": self.momentum,
        }


def _frames_shape(shapes):
    """Shape of the frames among the shapes of inputs."""
    is_list = isinstance(shapes[0], list | tuple)
    return tuple(shapes[0] if is_list else shapes)
