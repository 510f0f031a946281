"""The patch tokens of a vision transformer (ViT, DINOv2) as a backbone's two maps.

`s16` holds one token per 16 x 16 pixels of the image, whatever the patch: a network of 14-pixel patches sees the image
resized by 14/16, one of 8-pixel patches has its tokens averaged two by two. `s8` is an earlier block's tokens, enlarged
twice where they lie 16 pixels apart.

Which blocks: the middle one and the one at three quarters, the 6th and 9th of 12. Middle layers are what anomaly
detection has found best: the first see colours and edges, the last what the network was trained to tell apart
(PatchCore, section 3.1, of ResNets; Dinomaly, Guo et al. 2025, takes blocks 3 to 10 of the 12 of DINOv2). These are two
of that range, apart, one for each map. The choice was not measured here.

The network's final LayerNorm is applied to both, as DINOv2's own `get_intermediate_layers` does: without it a block's
tokens are longer the deeper it lies, and a few channels outweigh all others in a Euclidean distance. A network that
normalises only the mean of its tokens (timm's `fc_norm`) has none, and its tokens stay as they are.
"""

from typing import Any, TypeGuard

import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn
from torch.nn import functional

_COARSE = 16


class PatchTokens(nn.Module):
    """A vision transformer up to three quarters of its blocks. Images are float32 `[N, 3, H, W]`, normalised, of any
    size; H and W that are no multiples of 16 lose what is over, or are squeezed into the multiple below."""

    prefix: Tensor
    position: Tensor

    def __init__(self, network: VisionTransformer):
        super().__init__()
        self.patch: int = network.patch_embed.patch_size[0]
        self.stride = _COARSE // 2 if self.patch <= _COARSE // 2 else _COARSE
        self.embed, self.norm_pre, self.norm = network.patch_embed, network.norm_pre, network.norm
        depth = len(network.blocks)
        self.middle = -(-depth // 2)
        self.blocks = network.blocks[: -(-3 * depth // 4)]
        prefix, position = prefix_and_position(network)
        self.register_buffer("prefix", prefix)
        self.register_buffer("position", position)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps `[N, C, h, w]` at strides 8 and 16."""
        rows, columns = (length // self.stride for length in images.shape[2:])
        if self.patch != self.stride:
            size = (rows * self.patch, columns * self.patch)
            images = functional.interpolate(images, size=size, mode="bilinear")
        tokens = self.embed.norm(self.embed.proj(images).flatten(2).transpose(1, 2))
        tokens = tokens + resampled(self.position, rows, columns)
        tokens = torch.cat([self.prefix.expand(images.shape[0], -1, -1), tokens], dim=1)
        middle = self.blocks[: self.middle](self.norm_pre(tokens))
        deep = self.blocks[self.middle :](middle)
        s8, s16 = (self.as_map(self.norm(tokens), rows, columns) for tokens in (middle, deep))
        if self.stride == _COARSE:
            return functional.interpolate(s8, scale_factor=2.0, mode="bilinear"), s16
        return s8, functional.avg_pool2d(s16, 2)

    def as_map(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """The tokens `[N, T, C]` that stand for patches, as `[N, C, rows, columns]`."""
        patches = tokens[:, self.prefix.shape[1] :]
        return patches.transpose(1, 2).reshape(-1, tokens.shape[2], rows, columns)


def has_patch_tokens(network: nn.Module) -> TypeGuard[VisionTransformer]:
    """Whether `PatchTokens` can take the network: timm's plain ViT, on an image cut into square patches.

    Not its kin of other classes (with a distillation token, rotary positions or a convolutional stem).
    """
    if type(network) is not VisionTransformer or type(network.patch_embed) is not PatchEmbed:
        return False
    height, width = network.patch_embed.patch_size
    return bool(height == width and network.pos_embed is not None)


def prefix_and_position(network: VisionTransformer) -> tuple[Tensor, Tensor]:
    """The tokens before those of patches, class and registers, `[1, P, C]` with what is added to them; and the position
    embedding of the patches `[R, K, C]` on the R x K grid of the network's own image size."""
    before = [token.detach() for token in (network.cls_token, network.reg_token) if token is not None]
    position = network.get_parameter("pos_embed").detach()
    rows, columns = network.patch_embed.grid_size
    prefix = torch.cat(before, dim=1) if before else position[:, :0]
    added = position.shape[1] - rows * columns
    if added:
        prefix = prefix + position[:, :added]
    return prefix, position[0, added:].reshape(rows, columns, -1)


def resampled(position: Tensor, rows: int, columns: int) -> Tensor:
    """A position embedding `[R, K, C]` on a grid of another size, `[1, rows * columns, C]`: what timm's
    `resample_abs_pos_embed` gives (bicubic, antialiased), as two products of matrices, which every engine has."""
    down, across = bicubic(position.shape[0], rows), bicubic(position.shape[1], columns)
    tall = (down @ position.flatten(1)).reshape(-1, *position.shape[1:])
    return (across @ tall).reshape(1, -1, position.shape[2])


def bicubic(before: int, after: int) -> Tensor:
    """The matrix `[after, before]` that resamples a line of values (Keys 1981, a = -0.5), as Pillow and torch do: the
    kernel is widened where the line gets shorter, and cut at the ends. The unit matrix where nothing changes."""
    scale = before / torch.as_tensor(after, dtype=torch.float32)  # a tensor, so that a trace keeps it free
    old, new = (torch.arange(count, dtype=torch.float32) + 0.5 for count in (before, after))
    x = (old - scale * new[:, None]).abs() / scale.clamp(min=1)
    near = (1.5 * x - 2.5) * x**2 + 1
    x = x.clamp(max=2)
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = torch.where(x < 1, near, far)
    return weights / weights.sum(dim=1, keepdim=True)


def timm_names(state: dict[str, Any], network: VisionTransformer) -> dict[str, Any]:
    """A state dict as Meta publishes DINOv2's, by timm's own conversion; any other as it is."""
    converted: dict[str, Any] = checkpoint_filter_fn(state, network) if "mask_token" in state else state
    return converted
