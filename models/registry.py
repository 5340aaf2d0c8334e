"""Which checkpoints there are, whether they can be trusted, and how one becomes a classifier.

A checkpoint is a folder: `manifest.json` states what it is, and every file that is loaded has its SHA-256 there.
Nothing is loaded before it has been verified, and what cannot be verified is refused with one line that says why
(faults M1 and M2), so that whoever serves an older version goes on serving it. Importing this module loads neither
torch nor ONNX Runtime; only `open_classifier` loads the one it needs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from models.backend import Classifier
from models.errors import CheckpointError
from models.labels import SENTIMENTS, TOPICS
from models.weights import check_safetensors

CHECKPOINTS: Final = Path(__file__).parent / "checkpoints"
"""Where the shipped versions live, one folder each."""

MANIFEST: Final = "manifest.json"
WEIGHTS: Final = "model.safetensors"
ONNX: Final = "model.int8.onnx"
TOKENIZER: Final = "tokenizer.json"
CONFIG: Final = "config.json"

BACKENDS: Final = ("auto", "onnx", "torch")
DEVICES: Final = ("auto", "cpu", "cuda")

# Formats that run code when they are opened. Their mere presence refuses the folder: a loader that falls back to
# "pytorch_model.bin" when the safetensors file is missing is how such a file gets opened.
PICKLES: Final = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy")

# Prose about the weights, not part of them: correcting a sentence must not stop the scorer.
_NOT_CHECKSUMMED: Final = (MANIFEST, "MODEL_CARD.md", "README.md")

_MANIFEST_LIMIT: Final = 8 * 1024 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a checkpoint says of itself; the content of `manifest.json`.

    version: name of the version, also of its folder.
    created: ISO 8601 time with offset; orders the versions.
    languages: ISO 639-1 codes that it was trained and measured on.
    base: the encoder that it started from.
    max_length: tokens that one window holds, special tokens included.
    window_stride: tokens that two windows of a long text share.
    calibration, thresholds: what `models.calibrate.Calibration.from_manifest` reads.
    unsure_below: confidence (0 to 1) under which a prediction is unsure.
    auxiliary_heads: conventions that the safetensors file can be asked for besides the product's own.
    files: SHA-256 in hexadecimal of each file that may be loaded.
    extra: keys that this version of the code does not know, kept as they were.
    """

    version: str
    created: str
    languages: tuple[str, ...]
    base: str
    max_length: int
    window_stride: int
    unsure_below: float
    sentiments: tuple[str, ...] = SENTIMENTS
    topics: tuple[str, ...] = TOPICS
    calibration: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Any = field(default_factory=dict)
    data: Any = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    auxiliary_heads: Any = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The manifest as plain JSON types, unknown keys included."""
        plain: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        for name in ("languages", "sentiments", "topics"):
            plain[name] = list(plain[name])
        for name in ("calibration", "metrics", "files"):
            plain[name] = dict(plain[name])
        return {**self.extra, **plain}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], where: str = MANIFEST) -> Manifest:
        """Checks types and labels. CheckpointError names the key that is missing or wrong; `where` leads its text."""
        if not isinstance(raw, Mapping):
            raise CheckpointError(f"{where}: not a JSON object")
        known = {f.name for f in fields(cls)} - {"extra"}
        try:
            values: dict[str, Any] = {
                "version": _text(raw, "version"),
                "created": _text(raw, "created"),
                "languages": _texts(raw, "languages"),
                "sentiments": _texts(raw, "sentiments"),
                "topics": _texts(raw, "topics"),
                "base": _text(raw, "base"),
                "max_length": _number(raw, "max_length", 8, 65536, whole=True),
                "window_stride": _number(raw, "window_stride", 0, 65536, whole=True),
                "unsure_below": _number(raw, "unsure_below", 0, 1),
                "files": _checksums(raw),
            }
            datetime.fromisoformat(values["created"])
        except ValueError as error:
            raise CheckpointError(f"{where}: {error}") from error
        for name in ("calibration", "thresholds", "data", "metrics", "auxiliary_heads"):
            values[name] = raw.get(name) or {}
        if values["sentiments"] != SENTIMENTS or values["topics"] != TOPICS:
            raise CheckpointError(f"{where}: its labels are not the ones of this version of Headwind")
        if not _NAME.fullmatch(values["version"]):
            raise CheckpointError(f"{where}: {values['version'][:60]!r} is no name for a version")
        return cls(**values, extra={key: value for key, value in raw.items() if key not in known})


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a checkpoint folder; CheckpointError when there is none or it cannot be used."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MANIFEST_LIMIT:
            raise CheckpointError(f"{path}: larger than any manifest, refused")
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder}: no {MANIFEST}; not a checkpoint of Headwind") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error})") from error
    return Manifest.from_dict(raw, str(path))


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Writes `manifest.json` with the checksums of the files now in the folder; returns what was written."""
    checksums = {
        path.name: sha256(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in _NOT_CHECKSUMMED and path.suffix != ".tmp"
    }
    plain = {**manifest.to_dict(), "files": checksums}
    # Written beside and renamed, so that a reader never meets half a manifest.
    partial = folder / f"{MANIFEST}.tmp"
    partial.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(folder / MANIFEST)
    return Manifest.from_dict(plain, str(folder / MANIFEST))


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def available(root: Path = CHECKPOINTS) -> list[Manifest]:
    """The checkpoints under `root`, newest first; a folder without a usable manifest is left out.

    Reads manifests only: whether the files are sound is told by `verify`.
    """
    found = []
    for path in root.glob(f"*/{MANIFEST}") if root.is_dir() else ():
        try:
            found.append(read_manifest(path.parent))
        except CheckpointError:
            # A damaged version must not hide the sound ones; whoever asks for it by name is told what is wrong.
            continue
    return sorted(found, key=lambda m: (datetime.fromisoformat(m.created).timestamp(), m.version), reverse=True)


def resolve(name_or_folder: str | os.PathLike[str] | None = None, root: Path = CHECKPOINTS) -> Path:
    """The folder of a version, of a folder given as it is, or of the newest shipped version for None or "".

    Raises CheckpointError with the versions that there are.
    """
    if name_or_folder is None or str(name_or_folder) == "":
        shipped = available(root)
        if not shipped:
            raise CheckpointError(f"no checkpoint under {root}; train one with: python -m models train --help")
        return root / shipped[0].version
    name = str(name_or_folder)
    if _NAME.fullmatch(name) and (root / name / MANIFEST).is_file():
        return root / name
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    versions = ", ".join(manifest.version for manifest in available(root)) or "none"
    raise CheckpointError(f"no checkpoint called {name!r} and no such folder; versions here: {versions}")


def verify(folder: Path) -> Manifest:
    """Checks everything about a checkpoint that can be checked without loading it, and returns its manifest.

    Raises CheckpointError for a pickle, code that would have to be run, a missing, truncated or changed file, an
    absurd header, or weights that are not finite.
    """
    manifest = read_manifest(folder)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICKLES:
            raise CheckpointError(f"{path}: a pickle can run code when it is opened; only safetensors are taken")
    if not manifest.files:
        raise CheckpointError(f"{folder / MANIFEST}: no checksums, so nothing of it can be trusted")
    for name, expected in manifest.files.items():
        path = folder / name
        try:
            actual = sha256(path)
        except OSError as error:
            raise CheckpointError(f"{path}: stated by the manifest but cannot be read") from error
        if actual != expected:
            raise CheckpointError(f"{path}: damaged or tampered with (checksum differs from the manifest's)")
    for name in manifest.files:
        if name.endswith(".safetensors"):
            check_safetensors(folder / name)
        elif name.endswith("config.json"):
            _check_config(folder / name)
    return manifest


def open_classifier(
    version: str | os.PathLike[str] | None = None,
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
) -> Classifier:
    """Loads a verified checkpoint.

    version: a version, a folder, or None for the newest shipped one.
    backend: "onnx" (int8, CPU), "torch" (bf16 on CUDA, fp32 on CPU), or "auto": torch where a CUDA device is used,
        otherwise ONNX Runtime, or torch when the checkpoint has not been exported.
    device: "auto", "cpu" or "cuda"; ONNX Runtime runs on the CPU only.
    threads: CPU threads; None takes the cores that this process may use.

    Raises CheckpointError when the checkpoint is refused or the wanted backend cannot serve it, and ValueError for
    an unknown backend or device.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; one of {', '.join(BACKENDS)}")
    if device not in DEVICES:
        raise ValueError(f"unknown device {device!r}; one of {', '.join(DEVICES)}")
    if threads is not None and threads < 1:
        raise ValueError("threads must be 1 or more")
    if backend == "onnx" and device == "cuda":
        raise CheckpointError("the onnx backend is the CPU's; take backend torch for CUDA")
    folder = resolve(version)
    manifest = verify(folder)
    if backend == "auto":
        use_cuda = device == "cuda" or (device == "auto" and _cuda_is_there())
        backend = "torch" if use_cuda or ONNX not in manifest.files else "onnx"
    needed = (TOKENIZER, ONNX) if backend == "onnx" else (TOKENIZER, CONFIG, WEIGHTS)
    missing = [name for name in needed if name not in manifest.files]
    if missing:
        raise CheckpointError(
            f"{folder}: its manifest has no {', '.join(missing)}, which the {backend} backend needs"
            + ("; make it with: python -m models export" if ONNX in missing else "")
        )
    if backend == "onnx":
        from models.onnx_backend import OnnxClassifier

        return OnnxClassifier.load(folder, manifest, threads=threads)
    from models.torch_backend import TorchClassifier

    return TorchClassifier.load(folder, manifest, device=device, threads=threads)


def _cuda_is_there() -> bool:
    """Whether torch can use a CUDA device. torch is asked, hence imported, only where a driver is in sight."""
    if not any(Path(path).exists() for path in ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")):
        return False
    import torch

    return bool(torch.cuda.is_available())


def _check_config(path: Path) -> None:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error})") from error
    if isinstance(config, dict) and config.get("auto_map"):
        raise CheckpointError(f"{path}: asks for code of its own (auto_map); no remote code is run")


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is missing or not a text")
    return value


def _texts(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = raw.get(key)
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key} is missing or not a list of texts")
    return tuple(value)


def _number(raw: Mapping[str, Any], key: str, low: float, high: float, whole: bool = False) -> Any:
    value = raw.get(key)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not low <= value <= high:
        raise ValueError(f"{key} is missing or not a number from {low} to {high}")
    return value


def _checksums(raw: Mapping[str, Any]) -> dict[str, str]:
    value = raw.get("files")
    if not isinstance(value, Mapping):
        raise ValueError("files is missing or not an object of checksums")
    for name, checksum in value.items():
        # A name with a folder in it could point the reader outside the checkpoint.
        if not _NAME.fullmatch(name) or ".." in name:
            raise ValueError(f"files: {str(name)[:60]!r} is not the name of a file of this folder")
        if not isinstance(checksum, str) or not re.fullmatch(r"[0-9a-f]{64}", checksum):
            raise ValueError(f"files: the checksum of {name} is not a SHA-256")
    return dict(value)
