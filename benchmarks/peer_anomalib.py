"""The peer's side of the comparison, run by the interpreter that has anomalib: fitting, its own exports, serving them.

Each command is a process of its own and takes one JSON file. Written for anomalib 2.7; CI does not install it.
"""

import json
import logging
import os
import socket
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.peer_worker import Frame, Inspect, answer, keep_output_apart, peak_mb, serve

PACKAGES = ("anomalib", "torch", "torchvision", "timm", "onnxruntime", "openvino")
LAYERS = ("layer2", "layer3")
ITS_NEIGHBOURS = 9  # its default
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def fit(job: dict[str, Any]) -> None:
    """Fit PatchCore by its Engine; say how long it took and how much memory; then raw scores and maps, and exports."""
    import torch
    from anomalib.engine import Engine
    from anomalib.models import Patchcore

    imported = time.perf_counter()
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    size = (job["size"], job["size"])
    patches = job["images"] * (job["size"] // 8) ** 2
    model = Patchcore(
        backbone="resnet18",
        pre_trained=False,
        layers=LAYERS,
        coreset_sampling_ratio=(job["bank"] + 0.5) / patches,
        num_neighbors=ITS_NEIGHBOURS,
        pre_processor=Patchcore.configure_pre_processor(image_size=size),
        visualizer=False,
    )
    difference = same_weights(model, Path(job["backbone"]), job["size"])
    engine, data = Engine(**_engine(job)), _data(job)
    coreset = _timed(model, "fit")
    start = time.perf_counter()
    engine.fit(model=model, datamodule=data)
    took = time.perf_counter() - start
    del model.fit  # the stop-watch, which its torch export could not pickle
    fitted = {
        "fit_s": took,
        "fit_cpu_s": time.process_time(),
        "import_s": imported - START,
        "coreset_s": sum(coreset),
        "peak_mb": peak_mb(),
        "rows": len(model.model.memory_bank),
        "largest_difference": difference[0],
        "largest_feature": difference[1],
        "versions": {name: version(name) for name in PACKAGES} | {"python": sys.version.split()[0]},
    }
    exports = {}
    for neighbours in (ITS_NEIGHBOURS, 1):
        if model.model.num_neighbors != neighbours:
            model.model.num_neighbors = neighbours
            engine.validate(model=model, datamodule=data, verbose=False)  # its threshold, for this score
        folder = Path(job["out"]) / f"neighbours-{neighbours}"
        _raw(model.eval(), job["files"], folder)
        exports[str(neighbours)] = export(model, folder, tuple(job["frame"]), size)
    answer(fitted | {"exports": exports})


def same_weights(model: Any, backbone: Path, size: int) -> tuple[float, float]:
    """Put the weights of our file into the peer's network; largest difference of its features, and largest feature."""
    import numpy as np
    import torch

    from benchmarks.peer_weights import largest_difference, load_state, resnet_state

    extractor = model.model.feature_extractor
    load_state(extractor.feature_extractor, resnet_state(backbone))
    images = np.random.default_rng(0).integers(0, 256, (2, 3, size, size)).astype(np.float32)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (_MEAN, _STD))
    with torch.inference_mode():
        maps = extractor((torch.from_numpy(images) / 255 - mean) / std)
    return largest_difference(backbone, {"s8": maps["layer2"], "s16": maps["layer3"]}, images)


def export(model: Any, folder: Path, frame: tuple[int, int], size: tuple[int, int] | None) -> list[dict[str, Any]]:
    """Its own exports: of whole frames, with its resizing in the graph; and, where `size` is given, of frames that are
    shrunk to it before the graph."""
    exports = _exports(model, folder / "frame", frame, ("torch", "onnxruntime", "openvino"))
    if size is not None:
        for variant in _exports(model, folder / "shrunk", size, ("onnxruntime", "openvino")):
            exports.append(variant | {"name": f"{variant['name']}, shrunk outside", "shrink": size})
    return exports


def _exports(model: Any, folder: Path, shape: tuple[int, int], runtimes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One entry for each way of serving them, or with the reason why there is none."""
    found: list[dict[str, Any]] = []
    made: dict[str, Path] = {}
    for runtime in runtimes:
        served = ("openvino f32", "openvino as it comes") if runtime == "openvino" else (runtime,)
        try:
            if runtime == "torch":
                made[runtime] = model.to_torch(folder)
            elif runtime == "onnxruntime":
                made[runtime] = model.to_onnx(
                    folder, input_size=shape, dynamic_shapes=None
                )  # its default is frozen at batch 2
            else:
                made[runtime] = _to_openvino(made["onnxruntime"])
        except Exception as error:  # an export that fails is a result
            found += [{"name": name, "failed": brief(error)} for name in served]
        else:
            found += [{"name": name, "runtime": name, "model": str(made[runtime]), "shrink": None} for name in served]
    return found


def _to_openvino(file: Path) -> Path:
    """What its `to_openvino` does to the ONNX file, without making that file a second time."""
    import openvino

    target = file.with_suffix(".xml")
    openvino.save_model(openvino.convert_model(file), target, compress_to_fp16=False)
    return target


def random_weights(job: dict[str, Any]) -> None:
    """Exports of EfficientAD or Dinomaly as they come, with random weights: good for latency alone."""
    import torch

    torch.manual_seed(0)
    model = {"efficientad": _efficientad, "dinomaly": _dinomaly}[job["name"]]()
    for name, value in (("image_min", 0.0), ("image_max", 1.0), ("pixel_min", 0.0), ("pixel_max", 1.0)):
        getattr(model.post_processor, name).fill_(value)
    for name in ("_image_threshold", "_pixel_threshold"):
        getattr(model.post_processor, name).fill_(0.5)
    answer({"exports": export(model.eval(), Path(job["out"]), tuple(job["frame"]), None)})


def _efficientad() -> Any:
    import torch
    from anomalib.models import EfficientAd

    model = EfficientAd(visualizer=False)
    for name, value in (("mean", 0.0), ("std", 1.0)):
        model.model.mean_std[name].data = torch.full_like(model.model.mean_std[name].data, value)
    for name, parameter in model.model.quantiles.items():
        parameter.data = torch.full_like(parameter.data, 1.0 if name.startswith("qb") else 0.1)
    return model


def _dinomaly() -> Any:
    import timm
    from anomalib.models import Dinomaly

    create = timm.create_model
    timm.create_model = lambda *words, **options: create(*words, **(options | {"pretrained": False}))
    try:
        return Dinomaly(visualizer=False)
    finally:
        timm.create_model = create


def starts_offline(job: dict[str, Any]) -> None:
    """Whether EfficientAD or Dinomaly takes its first training step with no network, and what it says if not."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    socket.socket.connect = _no_network  # type: ignore[method-assign]
    socket.getaddrinfo = _no_network  # type: ignore[assignment]
    from anomalib.engine import Engine
    from anomalib.models import Dinomaly, EfficientAd

    try:
        make = {"efficientad": EfficientAd, "dinomaly": Dinomaly}[job["name"]]
        model = make(visualizer=False)
        Engine(**_engine(job), max_steps=1).fit(model=model, datamodule=_data(job, batch=1))
    except Exception as error:  # whatever it raises is the answer
        answer({"starts": False, "reason": brief(error)})
    else:
        answer({"starts": True, "reason": ""})


def _no_network(*_: object, **__: object) -> None:
    raise OSError("no network")


def serve_export(job: dict[str, Any]) -> None:
    """One export in one runtime, by that runtime's own Python interface."""
    runtime = job["runtime"]
    inspect = _torch(job) if runtime == "torch" else _onnx(job) if runtime == "onnxruntime" else _openvino(job)
    serve(inspect, job["files"])


def _torch(job: dict[str, Any]) -> Inspect:
    import torch

    torch.set_num_threads(job["threads"])
    model = torch.load(job["model"], map_location="cpu", weights_only=False)["model"].eval()
    prepared = _prepare(job["shrink"])

    def inspect(frame: Frame) -> tuple[bool, float]:
        with torch.inference_mode():
            found = model(torch.from_numpy(prepared(frame)))
        return bool(found.pred_label.item()), float(found.pred_score.item())

    return inspect


def _onnx(job: dict[str, Any]) -> Inspect:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job["threads"], 1
    session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    prepared, name = _prepare(job["shrink"]), session.get_inputs()[0].name

    def inspect(frame: Frame) -> tuple[bool, float]:
        # All four outputs, as its own inferencer asks for; the map is part of the verdict's record on our side too.
        values = dict(zip(names, session.run(None, {name: prepared(frame)}), strict=True))
        return bool(values["pred_label"].ravel()[0]), float(values["pred_score"].ravel()[0])

    names = [output.name for output in session.get_outputs()]
    return inspect


def _openvino(job: dict[str, Any]) -> Inspect:
    import openvino

    core = openvino.Core()
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": job["threads"], "NUM_STREAMS": 1}
    if job["runtime"] == "openvino f32":
        options["INFERENCE_PRECISION_HINT"] = "f32"
    request = core.compile_model(job["model"], "CPU", options).create_infer_request()
    prepared = _prepare(job["shrink"])

    def inspect(frame: Frame) -> tuple[bool, float]:
        request.infer([prepared(frame)], share_inputs=True)
        label = request.get_tensor("pred_label").data
        return bool(label.ravel()[0]), float(request.get_tensor("pred_score").data.ravel()[0])

    return inspect


def _prepare(shrink: list[int] | None) -> Any:
    """From a frame `[H, W, 3]` uint8 to its input `[1, 3, H, W]` float32 0-1, shrunk first where asked, as it did in
    training (antialiased), on bytes because that is quicker."""
    import numpy as np

    def prepared(frame: Frame) -> Any:
        planes = np.ascontiguousarray(frame.transpose(2, 0, 1))[None].astype(np.float32)
        planes *= np.float32(1 / 255)
        return planes

    if shrink is None:
        return prepared  # without torch, which would count as memory that serving needs
    import torch
    from torchvision.transforms.v2.functional import resize

    torch.set_num_threads(1)  # the runtime's threads are not torch's

    def shrunk(frame: Frame) -> Any:
        planes = resize(torch.from_numpy(frame).permute(2, 0, 1), list(shrink), antialias=True)
        return prepared(planes.permute(1, 2, 0).numpy())

    return shrunk


def _raw(model: Any, files: list[str], folder: Path) -> None:
    """Scores and maps before its post-processing clamps them, prepared as in its training; and its own verdicts."""
    import numpy as np
    import torch
    from anomalib.data.utils import read_image

    scores, maps = [], []
    with torch.inference_mode():
        for file in files:
            found = model.model(model.pre_processor.transform(read_image(file, as_tensor=True)[None]))
            scores.append(float(found.pred_score.item()))
            maps.append(found.anomaly_map[0, 0].numpy().astype(np.float32))
    folder.mkdir(parents=True, exist_ok=True)
    limit = float(model.post_processor.image_threshold)
    np.savez(folder / "raw.npz", scores=np.array(scores), maps=np.array(maps), stopped=np.array(scores) > limit)


def _engine(job: dict[str, Any]) -> dict[str, Any]:
    root = Path(job["out"]) / "engine"
    return {"default_root_dir": root, "accelerator": "cpu", "devices": 1, "enable_progress_bar": False}


def _data(job: dict[str, Any], batch: int = 32) -> Any:
    """The images as its own loader for folders reads them. Validation on the test images is what its loader for this
    dataset does by default: its threshold comes from their labels."""
    from anomalib.data import Folder

    root = Path(job["data"])
    defects = sorted(path.name for path in (root / "test").iterdir() if path.name != "good")
    return Folder(
        name="peer",
        root=root,
        normal_dir="train/good",
        normal_test_dir="test/good",
        abnormal_dir=[f"test/{name}" for name in defects],
        mask_dir=[f"ground_truth/{name}" for name in defects],
        train_batch_size=batch,
        eval_batch_size=batch,
        num_workers=0,
        val_split_mode="same_as_test",
        seed=job["seed"],
    )


def _timed(owner: Any, name: str) -> list[float]:
    """Seconds of every later call of the method."""
    method, seconds = getattr(owner, name), []

    def timed(*words: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return method(*words, **options)
        finally:
            seconds.append(time.perf_counter() - start)

    setattr(owner, name, timed)
    return seconds


def brief(error: BaseException) -> str:
    """One line of an error, without addresses and paths."""
    words = " ".join(str(error).split()).split(" ")
    kept = " ".join(word for word in words if "/" not in word)
    return f"{type(error).__name__}: {kept[:160]}"


START = time.perf_counter()
COMMANDS = {"fit": fit, "random": random_weights, "offline": starts_offline, "serve": serve_export}

if __name__ == "__main__":
    keep_output_apart()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    COMMANDS[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text()))
