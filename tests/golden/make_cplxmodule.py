"""Writes golden values of cplxmodule: state dicts, inputs and outputs of its layers.

Run by hand; the files are committed, so that tests need neither torch nor cplxmodule:

    python -m venv /tmp/original
    /tmp/original/bin/pip install torch==2.13.0 cplxmodule==2022.6 numpy scipy
    /tmp/original/bin/python tests/golden/make_cplxmodule.py

Each case is a file `cplxmodule_<case>.npz` beside this script:

- `state/<name>`: a tensor of the state dict;
- `input` (or `input_0`, `input_1`) and `output`: in evaluation mode, channels first as
  in torch, complex64 where they are complex;
- `penalty` and `relevance/<layer>`, of variational layers: the sum of the divergences,
  and the mask at log α ≤ −0.5.
"""

from pathlib import Path

import numpy as np
import torch
from cplxmodule import cplx
from cplxmodule.nn import (
    CplxAdaptiveModReLU,
    CplxBatchNorm1d,
    CplxBatchNorm2d,
    CplxBatchNorm3d,
    CplxBilinear,
    CplxConv1d,
    CplxConv2d,
    CplxConv3d,
    CplxConvTranspose1d,
    CplxConvTranspose2d,
    CplxLinear,
    CplxModReLU,
    masked,
    relevance,
)
from cplxmodule.nn.modules.linear import CplxPhaseShift
from torch import nn

HERE = Path(__file__).parent
THRESHOLD = -0.5


class SplitReLU(nn.Module):
    """ReLU of both parts, as paper 2 has it."""

    def forward(self, pair):
        return pair.apply(torch.relu)


class Flatten(nn.Module):
    """`nn.Flatten` of a pair: channels first, then height and width."""

    def forward(self, pair):
        return pair.apply(torch.flatten, 1)


class ToReal(nn.Module):
    """Real part followed by the imaginary part, along the last axis."""

    def forward(self, pair):
        return cplx.to_concatenated_real(pair)


class Transposed(nn.Module):
    """A transposed convolution by cplxmodule's function.

    Its layers call a private method of torch, which has changed its arguments since.
    """

    def __init__(self, function, layer):
        super().__init__()
        self.function, self.layer = function, layer

    def forward(self, pair):
        one = self.layer
        return self.function(
            pair,
            cplx.Cplx(one.weight.real, one.weight.imag),
            cplx.Cplx(one.bias.real, one.bias.imag),
            one.stride,
            one.padding,
            one.output_padding,
            one.groups,
        )


class TwoInputs(nn.Module):
    """Names the one layer, as a network would."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, left, right):
        return self.form(left, right)


class RealNet(nn.Module):
    """Layers in an order that is not that of the calls, as many networks have it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(3)
        self.bn2 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4 * 3 * 2, 5)
        self.bn3 = nn.BatchNorm1d(5)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.fc(torch.flatten(x, 1)))


def complex_net():
    """A small complex network, batch norm after Flatten included."""
    return nn.Sequential(
        CplxConv2d(2, 3, 3, padding=1),
        CplxBatchNorm2d(3),
        SplitReLU(),
        CplxConv2d(3, 4, 3, stride=2),
        Flatten(),
        CplxBatchNorm1d(4 * 3 * 2),
        CplxLinear(4 * 3 * 2, 6),
        CplxModReLU(None),
        ToReal(),
        nn.Linear(12, 3),
    )


def plain_cases():
    """Name → network and shapes of its inputs."""
    # In this order: each draws its weights after those before.
    return {**complex_cases(), **real_cases()}


def complex_cases():
    """Those with complex inputs."""
    return {
        "linear": (nn.Sequential(CplxLinear(5, 3)), [(4, 5)]),
        "linear_without_bias": (CplxLinear(5, 3, bias=False), [(4, 5)]),
        "conv1d": (nn.Sequential(CplxConv1d(3, 4, 3, stride=2)), [(2, 3, 9)]),
        "conv2d": (
            nn.Sequential(CplxConv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0))),
            [(2, 2, 6, 5)],
        ),
        "conv2d_groups": (nn.Sequential(CplxConv2d(4, 6, 3, groups=2)), [(2, 4, 5, 4)]),
        "conv2d_depthwise": (
            nn.Sequential(CplxConv2d(3, 6, 3, groups=3)),
            [(2, 3, 5, 4)],
        ),
        "conv2d_circular": (
            nn.Sequential(CplxConv2d(2, 3, 3, padding=2, padding_mode="circular")),
            [(2, 2, 5, 4)],
        ),
        "conv3d": (nn.Sequential(CplxConv3d(2, 3, (2, 3, 2))), [(2, 2, 3, 4, 3)]),
        "conv1d_transposed": (
            Transposed(
                cplx.conv_transpose1d, CplxConvTranspose1d(3, 2, 4, stride=2, bias=True)
            ),
            [(2, 3, 5)],
        ),
        "conv2d_transposed": (
            Transposed(
                cplx.conv_transpose2d,
                CplxConvTranspose2d(3, 2, (3, 2), stride=2, bias=True),
            ),
            [(2, 3, 4, 3)],
        ),
        "bilinear": (TwoInputs(CplxBilinear(3, 4, 2)), [(5, 3), (5, 4)]),
        "activations": (
            nn.Sequential(CplxPhaseShift(5), CplxAdaptiveModReLU(5), CplxModReLU(None)),
            [(4, 5)],
        ),
        "batchnorm1d": (nn.Sequential(CplxBatchNorm1d(4)), [(6, 4)]),
        "batchnorm1d_sequence": (nn.Sequential(CplxBatchNorm1d(4)), [(3, 4, 5)]),
        "batchnorm2d": (nn.Sequential(CplxBatchNorm2d(3)), [(2, 3, 4, 2)]),
        "batchnorm3d": (
            nn.Sequential(CplxBatchNorm3d(3, affine=False)),
            [(2, 3, 2, 2, 2)],
        ),
        "network": (complex_net(), [(3, 2, 8, 5)]),
        "concatenated": (
            nn.Sequential(CplxConv2d(2, 3, 2), Flatten(), ToReal(), nn.Linear(72, 4)),
            [(3, 2, 4, 5)],
        ),
    }


def real_cases():
    """Those of plain torch layers."""
    return {
        "real_linear": (nn.Sequential(nn.Linear(5, 3)), [(4, 5)]),
        "real_conv1d": (nn.Sequential(nn.Conv1d(3, 4, 3, dilation=2)), [(2, 3, 9)]),
        "real_conv2d": (nn.Sequential(nn.Conv2d(4, 6, 3, groups=2)), [(2, 4, 5, 4)]),
        "real_conv3d": (nn.Sequential(nn.Conv3d(2, 3, 2)), [(2, 2, 3, 4, 3)]),
        "real_depthwise": (nn.Sequential(nn.Conv2d(3, 6, 3, groups=3)), [(2, 3, 5, 4)]),
        "real_conv2d_transposed": (
            nn.Sequential(nn.ConvTranspose2d(3, 2, (3, 2), stride=2)),
            [(2, 3, 4, 3)],
        ),
        "real_bilinear": (TwoInputs(nn.Bilinear(3, 4, 2)), [(5, 3), (5, 4)]),
        "real_batchnorm": (nn.Sequential(nn.BatchNorm2d(3)), [(2, 3, 4, 2)]),
        "real_network": (RealNet(), [(3, 2, 6, 4)]),
    }


def variational_cases():
    """The same for layers with `log_sigma2`."""
    return {
        "vd_linear": (nn.Sequential(relevance.CplxLinearVD(5, 4)), [(4, 5)]),
        "ard_linear": (nn.Sequential(relevance.CplxLinearARD(5, 4)), [(4, 5)]),
        "vd_conv1d": (nn.Sequential(relevance.CplxConv1dVD(3, 4, 3)), [(2, 3, 6)]),
        "ard_conv2d": (
            nn.Sequential(relevance.CplxConv2dARD(2, 3, (3, 2))),
            [(2, 2, 5, 4)],
        ),
        "vd_bilinear": (TwoInputs(relevance.CplxBilinearVD(3, 4, 2)), [(5, 3), (5, 4)]),
        "real_vd_linear": (nn.Sequential(relevance.LinearVD(5, 4)), [(4, 5)]),
        "real_ard_linear": (nn.Sequential(relevance.LinearARD(5, 4)), [(4, 5)]),
        "real_vd_conv2d": (
            nn.Sequential(relevance.Conv2dVD(2, 3, (3, 2))),
            [(2, 2, 5, 4)],
        ),
        "real_ard_conv1d": (nn.Sequential(relevance.Conv1dARD(3, 4, 3)), [(2, 3, 6)]),
    }


def masked_cases():
    """The same for layers with a mask."""
    return {
        "masked_linear": (nn.Sequential(masked.CplxLinearMasked(5, 4)), [(4, 5)]),
        "masked_conv2d": (
            nn.Sequential(masked.CplxConv2dMasked(2, 3, (3, 2))),
            [(2, 2, 5, 4)],
        ),
        "real_masked_linear": (nn.Sequential(masked.LinearMasked(5, 4)), [(4, 5)]),
        "real_masked_conv2d": (
            nn.Sequential(masked.Conv2dMasked(2, 3, (3, 2))),
            [(2, 2, 5, 4)],
        ),
        "soft_mask": (nn.Sequential(masked.CplxLinearMasked(5, 4)), [(4, 5)]),
    }


def randomize(net):
    """Parameters that are all different, so that no wrong order of axes passes."""
    for name, parameter in net.named_parameters():
        parameter.data.normal_(0.0, 0.5)
        if name.endswith("log_sigma2"):
            parameter.data.uniform_(-6.0, 2.0)
    for module in net.modules():
        if hasattr(module, "mask_"):
            module.mask_((torch.rand(*module.weight.shape) < 0.5).float())


def sample(shape, is_real, spread=1.0):
    """Real numbers, or complex ones whose parts go together."""
    real = torch.randn(*shape)
    if is_real:
        return spread * real + 0.3
    imag = 0.6 * real + 0.5 * torch.randn(*shape) - 0.2
    return cplx.Cplx(spread * real + 0.3, spread * imag)


def to_numpy(value):
    if isinstance(value, cplx.Cplx):
        real, imag = value.real.detach().numpy(), value.imag.detach().numpy()
        return (real + 1j * imag).astype(np.complex64)
    return value.detach().numpy()


def golden(name, net, shapes):
    """The arrays of one case."""
    is_real = name.startswith("real_")
    randomize(net)
    if name == "soft_mask":  # not 0 and 1 only, as of L0 regularization
        layer = net[0]
        layer.mask_(layer.mask * (0.5 + torch.rand(*layer.weight.shape)))
    net.train()
    for _ in range(5):  # statistics of batch norm
        net(*[sample(shape, is_real, spread=1.5) for shape in shapes])
    net.eval()
    inputs = [sample(shape, is_real) for shape in shapes]
    arrays = {f"state/{key}": value.numpy() for key, value in net.state_dict().items()}
    keys = ["input"] if len(inputs) == 1 else ["input_0", "input_1"]
    arrays.update(zip(keys, map(to_numpy, inputs), strict=True))
    arrays["output"] = to_numpy(net(*inputs))
    if "vd_" in name or "ard_" in name:
        arrays["penalty"] = to_numpy(sum(relevance.penalties(net)))
        kept = relevance.compute_ard_masks(net, threshold=THRESHOLD)
        for key, mask in kept.items():
            arrays[f"relevance/{key.removesuffix('.mask')}"] = mask.numpy()
    return arrays


def main():
    torch.manual_seed(0)
    cases = {**plain_cases(), **variational_cases(), **masked_cases()}
    for name, (net, shapes) in cases.items():
        np.savez_compressed(
            HERE / f"cplxmodule_{name}.npz", **golden(name, net, shapes)
        )


if __name__ == "__main__":
    main()
