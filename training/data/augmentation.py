"""Random crops and flips of a batch of images, as paper 2 trains on CIFAR-10."""

import tensorflow as tf


def crop_and_flip(images, seed, padding=4, flips=True):
    """Each image moved at random over a black ground, and half of them mirrored.

    That is a random crop of the image's own size after padding with zeros, and then a
    flip from left to right. A seed always gives the same: nothing is kept in between.

    Args:
        images: `(batch, height, width, channels)`, of any type.
        seed: Two integers.
        padding: Black pixels on each side, of which the crop may take any.
        flips: Whether images are mirrored.
    """
    shape = tf.shape(images)
    count, height, width = shape[0], shape[1], shape[2]
    seeds = tf.random.split(seed)
    corners = tf.random.stateless_uniform(
        (count, 2), seeds[0], 0, 2 * padding + 1, tf.int32
    )
    rows = corners[:, :1] + tf.range(height)
    columns = tf.range(width)
    if flips:
        is_flipped = tf.random.stateless_uniform((count, 1), seeds[1], 0, 2, tf.int32)
        columns = tf.where(is_flipped == 1, width - 1 - columns, columns)
    columns = corners[:, 1:] + columns
    sides = [padding, padding]
    images = tf.pad(images, [[0, 0], sides, sides, [0, 0]])
    # Not one image after the other: two gathers move the whole batch.
    images = tf.gather(images, rows, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)
