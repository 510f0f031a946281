"""A package is one file that is whole, ours and unchanged, or it is refused."""

from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspection.errors import InspectionError
from inspection.manifest import Manifest
from inspection.package import NotAPackage, Package, PackageDamaged, PackageMissing, open_package, read_package, seal
from inspection.verdict import Limits


@given(offset=st.integers(0), byte=st.integers(1, 255))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_changed_byte_anywhere_is_refused(offset: int, byte: int, package: Package) -> None:
    data = bytearray(package.model)
    data[offset % len(data)] ^= byte

    with pytest.raises((NotAPackage, PackageDamaged)) as refused:
        open_package(bytes(data), "changed.onnx")

    assert str(refused.value).startswith("changed.onnx ")
    assert "\n" not in str(refused.value)


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_package_cut_short_is_refused(share: float, package: Package) -> None:
    with pytest.raises((NotAPackage, PackageDamaged)):
        open_package(package.model[: int(share * len(package.model))], "cut.onnx")


@pytest.mark.parametrize("extra", [b"\0", b"x" * 100])
def test_bytes_after_the_end_are_refused(extra: bytes, package: Package) -> None:
    with pytest.raises((NotAPackage, PackageDamaged)):
        open_package(package.model + extra, "long.onnx")


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    backbone = Path(__file__).parents[2] / "models" / "zoo" / "efficientnet_lite0_s8_s16.onnx"
    (tmp_path / "note.onnx").write_text("hello")

    with pytest.raises(NotAPackage, match="has no inspection manifest"):
        read_package(backbone)
    with pytest.raises(NotAPackage, match=r"note\.onnx is not a model package"):
        read_package(tmp_path / "note.onnx")
    with pytest.raises(PackageMissing, match=r"gone\.onnx cannot be read"):
        read_package(tmp_path / "gone.onnx")
    with pytest.raises(PackageMissing):
        read_package(tmp_path)


def graph(package: Package) -> onnx.ModelProto:
    return onnx.load_model_from_string(package.model)


def test_changed_limits_are_a_new_package_with_a_new_digest(package: Package) -> None:
    limits = Limits(review_limit=1.0, reject_limit=2.0)
    manifest = package.manifest.model_copy(update={"limits": limits})

    other = open_package(seal(graph(package), manifest, package.golden), "other.onnx")

    assert other.digest != package.digest
    assert other.manifest.limits == limits


def test_sealing_is_repeatable_and_keeps_everything(package: Package) -> None:
    again = seal(graph(package), package.manifest, package.golden)
    reopened = open_package(again, "again.onnx")

    assert seal(graph(package), package.manifest, package.golden) == again
    assert reopened.manifest == package.manifest
    assert {name: frame.tobytes() for name, frame in reopened.golden.items()} == {
        name: frame.tobytes() for name, frame in package.golden.items()
    }


def test_golden_frames_must_be_those_of_the_manifest(package: Package) -> None:
    with pytest.raises(ValueError, match="golden frames"):
        seal(graph(package), package.manifest, {})


def test_a_manifest_of_another_schema_is_refused_by_name(package: Package) -> None:
    text = package.manifest.model_dump_json().replace('"schema_version":1', '"schema_version":2')
    newer = Manifest.model_construct(**{**dict(package.manifest), "schema_version": 2})
    assert '"schema_version":2' in text

    with pytest.raises(NotAPackage, match="schema_version"):
        open_package(seal(graph(package), newer, package.golden), "newer.onnx")


def test_weights_in_other_files_are_refused(package: Package) -> None:
    model = graph(package)
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL

    with pytest.raises(NotAPackage, match="one complete file"):
        open_package(seal(model, package.manifest, package.golden), "external.onnx")


def test_it_knows_what_it_was_trained_on(package: Package, vial_dataset: Path) -> None:
    import hashlib

    trained = sorted((vial_dataset / "vial" / "train" / "good").iterdir())
    test = sorted((vial_dataset / "vial" / "test" / "good").iterdir())

    assert all(package.was_trained_on(hashlib.sha256(path.read_bytes()).hexdigest()) for path in trained)
    assert not any(package.was_trained_on(hashlib.sha256(path.read_bytes()).hexdigest()) for path in test)


def test_every_refusal_has_a_stable_code() -> None:
    codes = [kind.code for kind in (PackageMissing, NotAPackage, PackageDamaged)]

    assert codes == ["package_missing", "not_a_package", "package_damaged"]
    assert all(issubclass(kind, InspectionError) for kind in (PackageMissing, NotAPackage, PackageDamaged))
