"""The scattering transform of images."""

import math

import keras
from keras import ops as kops

from cvzoo.layers.linear import check_choice, check_size
from cvzoo.ops import scattering, wavelets
from cvzoo.ops.pairs import is_complex

# Numbers in all filters: 268 MB as float64. 512×512 pixels with J=6 have 2 · 10⁷.
LARGEST_FILTERS = 2**25
# Of images, with the axes of height, width and channels.
DATA_FORMATS = {"channels_last": (1, 2, 3), "channels_first": (2, 3, 1)}


@keras.saving.register_keras_serializable("cvzoo")
class Scattering2D(keras.layers.Layer):
    """Scattering transform of images with fixed Morlet wavelets, computed in float32.

    Averages over about `2^J` pixels of the image, of the moduli of its wavelet
    transforms, and of the moduli of wavelet transforms of those. The numbers of kymatio
    0.3.0, whose filters, padding and order of paths these are. Nothing is trained, and
    no weight is saved: filters are made when the layer is built.

    Args:
        J: Number of scales; outputs are `2^J` times smaller than the image.
        L: Number of angles. The filters are designed for 8.
        max_order: 1, or 2 for both orders.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to the setting
            of Keras.

    Call arguments:
        inputs: Real tensor `(batch, height, width, channels)`, or `(batch, channels,
            height, width)`. Height and width are known and at least `2^J`.

    Returns:
        Tensor `(batch, height // 2^J, width // 2^J, channels · K)`, or `(batch,
        channels · K, height // 2^J, width // 2^J)`. There are `K = 1 + J·L + L²·J(J −
        1)/2` paths, `1 + J·L` of orders 0 and 1. All paths of the first channel come
        first: order 0; order 1 by scale and angle `(j₁, l₁)`; order 2 by `(j₁, l₁, j₂,
        l₂)`, `j₂ > j₁`, the last varying fastest.

    Raises:
        ValueError: At build, if the image is smaller than `2^J` or its size not known.

    Reference:
        [Bruna and Mallat, 2013](https://arxiv.org/abs/1203.1513)
    """

    def __init__(self, J, L=8, max_order=2, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.J = check_size("J", J)
        self.L = check_size("L", L)
        if max_order not in (1, 2):
            raise ValueError(f"`max_order` must be 1 or 2. Received: {max_order!r}")
        self.max_order = max_order
        data_format = data_format or keras.config.image_data_format()
        self.data_format = check_choice("data_format", data_format, DATA_FORMATS)

    def __call__(self, inputs, *args, **kwargs):
        if isinstance(inputs, (tuple, list)) or is_complex(inputs):
            raise ValueError(
                f"Scattering2D '{self.name}' takes one real tensor. Received a "
                "complex one or several. Put `cvzoo.layers.FromComplex('modulus')` or "
                "`FromComplex('concatenated')` before it."
            )
        return super().__call__(inputs, *args, **kwargs)

    def build(self, input_shape):
        sizes = self._sizes(input_shape)
        # Filters are for images of this size.
        axes = dict(zip(DATA_FORMATS[self.data_format], sizes, strict=True))
        self.input_spec = keras.InputSpec(ndim=4, axes=axes)
        *self.size, self.channels = sizes
        self.padded_size = scattering.padded_size(self.size, self.J)
        self._check_filters()
        filters = wavelets.filter_bank(self.padded_size, self.J, self.L)
        self.low, self.wavelets = filters
        self.built = True

    def _check_filters(self):
        numbers = math.prod(self.padded_size) * self.J * self.L
        if numbers > LARGEST_FILTERS:
            raise ValueError(
                f"Scattering2D '{self.name}' would have {self.J * self.L} filters of "
                f"size {self.padded_size}. At most {LARGEST_FILTERS} numbers are "
                "made; use smaller images, J or L."
            )

    def _sizes(self, shape):
        """Height, width and channels."""
        axes = DATA_FORMATS[self.data_format]
        sizes = [shape[axis] for axis in axes] if len(shape) == 4 else [None]
        if None in sizes:
            raise ValueError(
                f"Scattering2D '{self.name}' needs images of shape (batch, height, "
                "width, channels), in the order of its data_format "
                f"{self.data_format!r}, of known size. Received shape {tuple(shape)}"
            )
        if min(sizes[:2]) < 2**self.J:
            raise ValueError(
                f"Scattering2D '{self.name}' with J={self.J} needs a height and width "
                f"of at least 2^J = {2**self.J}. Received shape {tuple(shape)}; use a "
                "smaller J or larger images."
            )
        return sizes

    def call(self, inputs):
        wide = "float64" if self.compute_dtype == "float64" else "float32"
        images = kops.cast(inputs, wide)
        if self.data_format == "channels_last":
            images = kops.transpose(images, (0, 3, 1, 2))
        images = kops.reshape(images, (-1, *self.size))
        images = scattering.reflect(images, self.padded_size)
        paths = scattering.scattering(images, self.low, self.wavelets, self.max_order)
        # What is left of the border.
        paths = kops.cast(paths[..., 1:-1, 1:-1], self.compute_dtype)
        _, count, *size = paths.shape
        outputs = kops.reshape(paths, (-1, self.channels * count, *size))
        if self.data_format == "channels_last":
            outputs = kops.transpose(outputs, (0, 2, 3, 1))
        return outputs

    def compute_output_shape(self, input_shape):
        height, width, channels = self._sizes(input_shape)
        height, width = height >> self.J, width >> self.J
        channels *= scattering.count_paths(self.J, self.L, self.max_order)
        if self.data_format == "channels_last":
            return input_shape[0], height, width, channels
        return input_shape[0], channels, height, width

    def get_config(self):
        return {
            **super().get_config(),
            "J": self.J,
            "L": self.L,
            "max_order": self.max_order,
            "data_format": self.data_format,
        }
