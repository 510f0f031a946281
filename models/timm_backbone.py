"""Any timm network with maps at strides 8 and 16, or with patch tokens, cut there and traced into the backbone
interface."""

import difflib
import hashlib
import io
import warnings
from pathlib import Path
from typing import Any, Literal

import onnx
import timm
import torch
from timm.models import load_checkpoint
from torch import Tensor, nn

from inspection.errors import InspectionError
from models.backbones import INPUT, NOT_STATED, OUTPUTS, STRIDES, UnknownBackbone
from models.efficientnet_lite import BackboneWeightsError
from models.vit_backbone import PatchTokens, has_patch_tokens, timm_names

OPSET = 17

# A state dict file, timm's own download, or the seed of random weights.
WeightsSource = Path | Literal["pretrained"] | int


class BackboneUnfit(InspectionError):
    """A network that cannot be made into a backbone."""

    code = "backbone_unfit"


class CutNetwork(nn.Module):
    """A timm feature extractor behind its normalisation. Images are float32 `[N, 3, H, W]`, RGB, 0-255."""

    mean: Tensor
    std: Tensor

    def __init__(self, extractor: nn.Module, levels: list[int], mean: list[float], std: list[float]):
        super().__init__()
        self.extractor = extractor
        self.levels = levels
        self.register_buffer("mean", 255 * torch.tensor(mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).reshape(1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps at strides 8 and 16."""
        maps = self.extractor((images - self.mean) / self.std)
        s8, s16 = (maps[level] for level in self.levels)
        return s8, s16


def cut_network(name: str, source: WeightsSource) -> tuple[CutNetwork, dict[str, str]]:
    """timm's network `name` cut at strides 8 and 16, in eval mode, and the metadata of the backbone it makes.

    Raises UnknownBackbone, BackboneUnfit, BackboneWeightsError.
    """
    if not timm.is_model(name):
        nearest = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.4)) or "none"
        raise UnknownBackbone(f"timm {timm.__version__} has no network {name!r}; the nearest are {nearest}")
    whole = whole_network(name, source)
    extractor, levels = extractor_of(name, whole)
    config: dict[str, Any] = whole.pretrained_cfg
    metadata = {
        "name": name,
        "licence": (config.get("license") if source == "pretrained" else None) or NOT_STATED,
        "source": f"timm {timm.__version__}",
    }
    return CutNetwork(extractor, levels, config["mean"], config["std"]).eval(), metadata | provenance(source)


def whole_network(name: str, source: WeightsSource) -> Any:
    """The network with its classifier, so that a weights file can be held against all of it."""
    try:
        with torch.random.fork_rng():
            torch.manual_seed(source if isinstance(source, int) else 0)
            network = timm.create_model(name, pretrained=source == "pretrained")
    except Exception as error:  # timm's download raises many types of its own
        raise BackboneWeightsError(f"timm gives no weights for {name}: {_brief(error)}") from error
    if isinstance(source, Path):
        load_file(network, source)
    return network


def load_file(network: nn.Module, file: Path) -> None:
    """Load a state dict into `network`: the same tensors on both sides, or BackboneWeightsError."""
    if not file.is_file():
        raise BackboneWeightsError(f"there is no weights file {file}")
    try:
        names = timm_names if has_patch_tokens(network) else None
        missing, unknown = load_checkpoint(network, str(file), strict=False, filter_fn=names)
    except Exception as error:  # the readers raise many types of their own
        raise BackboneWeightsError(f"the weights in {file} do not fit: {_brief(error)}") from error
    if missing or unknown:
        raise BackboneWeightsError(
            f"{file} holds another network: {len(missing)} tensors are missing and {len(unknown)} unknown, "
            f"such as {[*missing, *unknown][0]}"
        )


def extractor_of(name: str, whole: nn.Module) -> tuple[nn.Module, list[int]]:
    """What makes the maps of timm's network `name`, with the tensors of the `whole`, and which are at strides 8 and 16.

    A vision transformer's are made of its patch tokens; other networks have timm's feature extractor.
    """
    if has_patch_tokens(whole):
        return PatchTokens(whole), [0, 1]
    try:
        extractor: Any = timm.create_model(name, pretrained=False, features_only=True)
        reductions = list(extractor.feature_info.reduction())
    except Exception as error:
        raise BackboneUnfit(f"timm cannot give the feature maps of {name}: {_brief(error)}") from error
    if not set(STRIDES) <= set(reductions):
        raise BackboneUnfit(f"{name} has feature maps at strides {reductions}; a backbone needs 8 and 16")
    deepest = {reduction: level for level, reduction in enumerate(reductions)}
    copy_tensors(whole, extractor)
    return extractor, [deepest[stride] for stride in STRIDES]


def copy_tensors(whole: nn.Module, extractor: nn.Module) -> None:
    """Give the extractor the whole network's tensors, every one: timm loads an extractor leniently."""
    known = {key.replace(".", "_"): value for key, value in whole.state_dict().items()}
    for key, value in extractor.state_dict().items():
        # Extractors flatten `blocks.0` into `blocks_0`, or wrap the network as `model`.
        found = known.get(key.removeprefix("model.").replace(".", "_"))
        if found is None or found.shape != value.shape:
            raise BackboneUnfit(f"timm's feature extractor has a tensor {key} that the whole network lacks")
        value.copy_(found)


def trace(network: CutNetwork) -> onnx.ModelProto:
    """`network` as ONNX with free N, H and W. Raises BackboneUnfit."""
    sizes = {INPUT: {0: "N", 2: "H", 3: "W"}}
    sizes |= {name: {0: "N", 2: f"h{name[1:]}", 3: f"w{name[1:]}"} for name in OUTPUTS}
    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the caller's parity check says whether tracing went well
            # Not the dynamo exporter: TensorFlow's padding with free H and W takes it more than five minutes.
            torch.onnx.export(
                network,
                (torch.zeros(2, 3, 64, 96),),
                file,  # type: ignore[arg-type]
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_axes=sizes,
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:
        raise BackboneUnfit(f"the network cannot be traced into ONNX: {_brief(error)}") from error
    return onnx.load_model_from_string(file.getvalue())


def provenance(source: WeightsSource) -> dict[str, str]:
    """Where the weights come from, as metadata."""
    if isinstance(source, Path):
        return {"weights": source.name, "weights_sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    return {"weights": f"random, seed {source}" if isinstance(source, int) else "timm pretrained"}


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
