"""The part of a classifier that is trained, in torch: the same network as `class_graph`."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.class_graph import ClassWeights

WIDTH = 128
_SHARPNESS = 4.0
_NOISE = 0.1  # of each channel's deviation
_DROPOUT = 0.2


class ClassHead(nn.Module):
    """Logits `[N, K]` of features `[N, C, h, w]`, see `class_features_graph`; each channel is
    standardised first, by `mean` and `deviation` `[C]`. `bias` `[K]` are the logits it starts from."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("deviation", deviation.reshape(1, -1, 1, 1))
        self.first = nn.Conv2d(len(mean), WIDTH, 1)
        self.near = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.last = nn.Conv2d(WIDTH, len(bias), 1)
        nn.init.zeros_(self.last.weight)
        self.last.bias = nn.Parameter(bias.clone())
        self.log_sharpness = nn.Parameter(torch.full((len(bias),), math.log(_SHARPNESS)))
        self.dropout = nn.Dropout2d(_DROPOUT)

    def forward(self, features: Tensor) -> Tensor:
        x = (features - self.mean) / self.deviation
        if self.training:
            x = x + _NOISE * torch.randn_like(x)
        x = self.dropout(functional.relu(self.first(x)))
        maps = self.last(functional.relu(self.near(x))).flatten(2)
        sharpness = self.log_sharpness.exp()
        pooled: Tensor = torch.logsumexp(maps * sharpness[:, None], dim=2) - math.log(maps.shape[2])
        return pooled / sharpness

    def weights(self) -> ClassWeights:
        """The same network for the graph, the standardisation folded into the first convolution."""
        with torch.no_grad():
            first = self.first.weight / self.deviation
            shift = (first * self.mean).sum((1, 2, 3))
            biases = [layer.bias for layer in (self.first, self.near, self.last) if layer.bias is not None]
            values = (
                first, biases[0] - shift, self.near.weight, biases[1], self.last.weight, biases[2],
                self.log_sharpness.exp(),
            )  # fmt: skip
            return ClassWeights(*(value.detach().cpu().numpy().copy() for value in values))
