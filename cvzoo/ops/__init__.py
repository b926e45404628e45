"""Pure maths on tensors and on pairs `(real, imag)`: no weights, no state."""

from cvzoo.ops.circulant import (
    block_circulant_product,
    circulant_matrix,
    circulant_product,
    complex_block_circulant_product,
    complex_circulant_product,
)
from cvzoo.ops.cosine import (
    cosine_product,
    cosine_transform,
    inverse_cosine_transform,
)
from cvzoo.ops.displacement import (
    subdiagonal_product,
    toeplitz_like_product,
    tridiagonal_product,
)
from cvzoo.ops.divergences import (
    ARD_COMPLEX,
    ARD_REAL,
    VD_COMPLEX,
    VD_COMPLEX_APPROXIMATE,
    VD_REAL,
    VD_REAL_APPROXIMATE,
    Divergence,
    complete_exponential_integral,
    divergence_per_weight,
    log_alpha,
    summed_divergence,
    unit_divergence,
)
from cvzoo.ops.hadamard import hadamard_transform
from cvzoo.ops.hashing import murmur_hash
from cvzoo.ops.noise import (
    add_complex_noise,
    add_correlated_noise,
    add_real_noise,
    replica_count,
    replica_normal,
)
from cvzoo.ops.pairs import (
    check_pair,
    check_real,
    fourier,
    is_complex,
    modulus,
    phase,
    shifted,
    square_pair,
    squared_modulus,
    twice_the_phase,
)
from cvzoo.ops.products import (
    channels_last,
    complex_bilinear,
    complex_conv,
    complex_dense,
    complex_multiply,
    complex_product,
    conv,
    join_last_two,
)
from cvzoo.ops.toeplitz import toeplitz_product
