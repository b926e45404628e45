"""A hash function of integers, in operations of a graph: no table is kept."""

from keras import ops


def murmur_hash(keys, seed):
    """MurmurHash3 (x86, 32 bits) of integers, as four bytes, the lowest first.

    Args:
        keys: Tensor of int32.
        seed: Integer in [0, 2³²).

    Returns:
        Tensor of uint32 of the shape of the keys.

    Reference:
        Appleby, 2011, MurmurHash3.
    """
    key = _times(ops.cast(keys, "uint32"), 0xCC9E2D51)
    key = _times(_rotate(key, 15), 0x1B873593)
    mixed = _rotate(ops.bitwise_xor(key, _integer(seed)), 13)
    mixed = _times(mixed, 5) + _integer(0xE6546B64)
    mixed = ops.bitwise_xor(mixed, _integer(4))  # the number of bytes
    mixed = _times(_folded(mixed, 16), 0x85EBCA6B)
    mixed = _times(_folded(mixed, 13), 0xC2B2AE35)
    return _folded(mixed, 16)


def _integer(value):
    return ops.convert_to_tensor(value, "uint32")


def _times(x, factor):
    return x * _integer(factor)


def _rotate(x, bits):
    left = ops.bitwise_left_shift(x, _integer(bits))
    return ops.bitwise_or(left, ops.bitwise_right_shift(x, _integer(32 - bits)))


def _folded(x, bits):
    return ops.bitwise_xor(x, ops.bitwise_right_shift(x, _integer(bits)))
