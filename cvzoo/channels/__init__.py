"""What a layer does to the channels of its inputs: `shrink`'s knowledge of layers.

A channel is one index of a tensor's last axis. A rule knows of a layer which input
channels each output channel is made of, and what becomes of channels that do not depend
on the model's inputs. A layer without a rule reads all its channels and keeps all.
"""

from cvzoo.channels.fields import Field, spread
from cvzoo.channels.kinds import (
    has_size,
    is_depthwise,
    is_linear,
    is_operation,
    is_transposed,
)
from cvzoo.channels.linear import Linear, Values
from cvzoo.channels.rules import Mapped, rule_for
