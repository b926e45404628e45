"""`WidelyLinear` against complex numbers."""

import keras
import numpy as np
import pytest

from cvzoo.layers import WidelyLinear
from tests.helpers import as_complex, check_layer, random_pair


def test_it_is_z_and_r_times_its_conjugate():
    layer = WidelyLinear()
    pair = random_pair(2, 3, 4)
    np.testing.assert_array_equal(layer(pair), pair)
    r = np.array([0.5, 1j, 0, -0.3 + 0.2j])
    layer.set_weights([r.real, r.imag])
    z = as_complex(pair)
    np.testing.assert_allclose(as_complex(layer(pair)), z + r * z.conj(), atol=1e-6)


def test_it_does_what_layers_do(tmp_path):
    check_layer(WidelyLinear, random_pair(2, 3, 4), tmp_path)


def test_the_number_of_features_must_be_known():
    with pytest.raises(ValueError, match="a known last axis"):
        WidelyLinear()((keras.Input((None,)), keras.Input((None,))))
