"""`inspection quantize`: a new version of a package at a lower precision, with its accuracy beside its parent's."""

from pathlib import Path

import click

from training.commands.options import dataset_options


@click.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--precision", default="int8", show_default=True, help="int8, or bf16 on a CPU that has it.")
@dataset_options
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="A folder of images of good units to calibrate on [default: the dataset's training images].",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The package to write (.onnx)."
)
@click.option("--version", required=True, help="The new version, as major.minor.patch, above the package's own.")
@click.option("--tolerance", default=0.005, show_default=True, help="By how much the image AUROC may fall.")
@click.option("--threads", type=click.IntRange(1), help="Cores to use [default: all].")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def quantize(
    package: Path,
    precision: str,
    layout: str,
    root: Path,
    category: str | None,
    split_seed: int,
    calibration: Path | None,
    out: Path,
    version: str,
    tolerance: float,
    threads: int | None,
    quiet: bool,
) -> None:
    """Make a version of PACKAGE at a lower precision, evaluated on the dataset's test images in every runtime.

    Writes OUT and, beside it, OUT's comparison with PACKAGE (.quantize.json), every changed verdict by file name.
    Refuses, and writes nothing, where the image AUROC falls by more than the tolerance, where fewer defective units are
    stopped by more than one in twenty, or where a golden verdict flips.
    """
    import onnx

    from data.splits import SplitFile, digest
    from inspection.detector import available_cores
    from inspection.files import make_folder
    from inspection.json_files import write_json
    from inspection.manifest import SplitDigest
    from inspection.package import open_package, read_package, write_package
    from inspection.runtime import able
    from training import new_precision as new
    from training.calibration import calibration_frames
    from training.image_folder import folder_files
    from training.new_version import change_lines, check_images, check_out, compare, figure_lines
    from training.package_split import split_for
    from training.quantize import METHOD, quantize_graph

    check_out(out, package)
    parent = read_package(package)
    chosen = new.as_precision(precision)
    new.check_request(parent.manifest, version, tolerance)
    able(chosen)
    split = split_for(parent, layout, root, category, split_seed)
    check_images(split.test, root)
    model = onnx.load_model_from_string(parent.model)
    used: list[SplitFile] = []
    method = "the same graph, computed in bf16"
    if chosen == "int8":
        files = folder_files(calibration, split.test, "--calibration") if calibration else split.train
        frames, used = calibration_frames(files, calibration or root, parent.manifest)
        click.echo(f"calibrating on {len(frames)} good images")
        model, method = quantize_graph(model, frames, quiet=quiet), METHOD
    manifest = new.draft(parent, model, chosen, version, threads or available_cores())
    candidate = open_package(new.sealed(parent, model, manifest), str(out))
    old, children = compare(parent, candidate, split.test, root, threads, quiet=quiet)
    calibration_digest = SplitDigest(files=len(used), sha256=digest(used)) if used else None
    info = new.quantization(old, children, manifest, method, calibration_digest, split.test, tolerance)
    click.echo(f"{parent.label} at fp32 -> {chosen}, on {info.evaluation.files} images")
    for line in figure_lines(info.figures):
        click.echo(line)
    new.accept(old, children, tolerance)
    data = new.sealed(parent, model, manifest.model_copy(update={"quantization": info}), used)
    make_folder(out.parent)
    content = new.report(parent, open_package(data, str(out)), old, children)
    sha256 = write_package(out, data)
    write_json(out.with_suffix(".quantize.json"), content)
    click.echo(f"{out}: {len(data) / 1e6:.1f} MB, sha256 {sha256[:12]}")
    for line in change_lines(content["runtimes"]):
        click.echo(line)
