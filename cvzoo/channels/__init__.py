"""What layers do to the channels of their inputs: `shrink`'s knowledge of layers."""
