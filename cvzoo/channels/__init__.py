"""What layers do to the channels of their inputs: `shrink`'s knowledge of layers.

A channel is one index of a tensor's last axis.
"""
