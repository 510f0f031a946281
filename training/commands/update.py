"""`inspection update`: a new version of a package from new good images, without those it was made from."""

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--images", required=True, type=click.Path(path_type=Path), help="A folder of new images of good units.")
@click.option("--version", required=True, help="The new version, as major.minor.patch, above the package's own.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The package to write (.onnx)."
)
@click.option("--false-reject-rate", type=float, help="Share of good units that may fail to pass [default: as it was].")
@click.option("--layout", default="mvtec", show_default=True, help="How labelled images to evaluate on are laid out.")
@click.option("--root", type=click.Path(path_type=Path), help="Their folder; without it nothing is evaluated.")
@click.option("--category", help="The product: a folder in ROOT (the folder layout may leave it out).")
@click.option("--split-seed", default=0, show_default=True, help="As it was for `train`.")
@click.option("--threads", type=click.IntRange(1), help="Cores to use in the evaluation [default: all].")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def update(
    package: Path,
    images: Path,
    version: str,
    out: Path,
    false_reject_rate: float | None,
    layout: str,
    root: Path | None,
    category: str | None,
    split_seed: int,
    threads: int | None,
    quiet: bool,
) -> None:
    """Make a version of PACKAGE that knows further good images, with new limits.

    Writes OUT and, beside it, what was done (.update.json): with --root, old and new version on the labelled images,
    every changed verdict by file name. Nothing is learnt on the line, and PACKAGE stays as it is. Refuses, and writes
    nothing, where a golden frame that passed is stopped or one that was stopped passes.
    """
    from data.splits import digest, make_split
    from inspection.errors import BadUsage
    from inspection.files import make_folder
    from inspection.json_files import write_json
    from inspection.manifest import SplitDigest
    from inspection.package import open_package, read_package, write_package
    from training import new_version as new
    from training.evaluate import refuse_trained
    from training.image_folder import folder_files
    from training.limits import check_false_reject_rate
    from training.update import check_parent, new_files, odd_ones, update_package

    new.check_out(out, package)
    if category and root is None:
        raise BadUsage(f"--category {category} needs --root, the folder that holds it")
    if false_reject_rate is not None:
        check_false_reject_rate(false_reject_rate)
    parent = read_package(package)
    check_parent(parent, version)
    test = make_split(layout, root, category, split_seed).test if root else []
    if root:
        new.check_images(test, root)
        refuse_trained(parent, test)
    files, known = new_files(parent, folder_files(images, test, "--images"))
    if known:
        click.echo(f"left out, the package was fitted on them already: {', '.join(file.path for file in known)}")
    updated = update_package(
        parent, files, images, version, false_reject_rate=false_reject_rate, skipped=len(known), quiet=quiet
    )
    limits, info = updated.manifest.limits, updated.info
    runtimes: dict[str, Any] = {}
    before: dict[str, Any] = new.described(parent)
    if root:
        candidate = open_package(updated.sealed(info), str(out))
        old, children = new.compare(parent, candidate, test, root, threads, quiet=quiet)
        lines = [new.runtime_figures(old, child, parent.manifest.limits, limits) for child in children]
        evaluation = SplitDigest(files=len(test), sha256=digest(test))
        info = info.model_copy(update={"evaluation": evaluation, "figures": lines})
        runtimes = new.runtimes_part(old, children, parent.manifest.limits, limits)
        before = new.parent_part(parent, old)
    data = updated.sealed(info)
    made = open_package(data, str(out))
    odd = odd_ones(updated.held_out, limits)
    content = {
        "schema": "inspection.update/1",
        "parent": before | {"limits": parent.manifest.limits.model_dump()},
        "version": new.described(made) | {"limits": limits.model_dump()},
        "added": [file.model_dump(include={"path", "sha256"}) | {"held_out_score": updated.held_out[file.path]}
                  for file in files],
        "skipped": [file.path for file in known],
        "beyond_the_reject_limit": odd,
        "update": info.model_dump(mode="json", exclude={"figures"}),
        "runtimes": runtimes,
    }  # fmt: skip
    make_folder(out.parent)
    sha256 = write_package(out, data)
    write_json(out.with_suffix(".update.json"), content)
    click.echo(
        f"{out}: {len(data) / 1e6:.1f} MB, sha256 {sha256[:12]}, from {parent.label} and {len(files)} new images"
    )
    was = parent.manifest.limits
    click.echo(
        f"review from {was.review_limit:.3f} -> {limits.review_limit:.3f}, reject from {was.reject_limit:.3f} -> "
        f"{limits.reject_limit:.3f}: {info.added_above_review} of {info.held_out_added} new held-out good images "
        f"would not pass, of {info.held_out_parent + info.held_out_added} in all "
        f"{updated.manifest.limits_info.held_out_above_review}"
    )
    click.echo(
        f"{info.rows_kept} of {info.rows} rows are the old memory's; none of it lies further than "
        f"{info.farthest_parent_row:.3f} from the new one"
    )
    if odd:
        click.echo("unlike all other good images, look whether they are good: " + ", ".join(odd[:5]))
    for line in [*new.figure_lines(info.figures), *new.change_lines(runtimes)]:
        click.echo(line)
