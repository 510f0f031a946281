"""Which images of a dataset a package is evaluated on."""

from pathlib import Path

from data.labelled import labelled_files
from data.splits import Split, make_split
from inspection.package import Package
from training.class_figures import as_split_file, unseen


def split_for(package: Package, layout: str, root: Path, category: str | None, seed: int) -> Split:
    """The layout's own split; for a classifier, which is trained on defects too, all images that it has not seen are
    for testing, and the good ones among the others for training. Raises as `make_split` and `labelled_files`."""
    if not package.manifest.classes:
        return make_split(layout, root, category, seed)
    files = labelled_files(layout, root, category, package.manifest.input.colour)
    test = unseen(package, files)
    tested = {file.path for file in test}
    train = [as_split_file(file) for file in files if not file.labels and file.path not in tested]
    return Split(layout=layout, category=category, seed=seed, train=train, test=test)
