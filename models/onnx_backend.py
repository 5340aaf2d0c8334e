"""The classifier on ONNX Runtime: the int8 export, on the CPU. Imports neither torch nor transformers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.batching import Encoder
from models.calibrate import Calibration
from models.errors import CheckpointError
from models.registry import CONFIG, ONNX, TOKENIZER, Manifest
from models.scorer import Heads, Scorer, Shapes
from models.weights import pad_token

OUTPUTS: Final = ("sentiment_logits", "topic_logits", "primary_logits")
INPUTS: Final = ("input_ids", "attention_mask")


class OnnxClassifier(Scorer):
    """Scores with ONNX Runtime. `predict` may be called from several threads: a session's run is thread-safe.

    A batch holds texts of one exact length, so nothing is padded and the attention mask has no zeros.
    """

    # Measured on two AVX2 cores: under 1,000 tokens the call overhead shows, over 4,000 the caches are lost.
    shapes = Shapes(token_budget=2048)

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        manifest: Manifest,
        encoder: Encoder,
        calibration: Calibration,
        pad_id: int = 0,
    ) -> None:
        super().__init__(manifest, encoder, calibration, pad_id)
        self._session = session

    @classmethod
    def load(cls, folder: Path, manifest: Manifest, threads: int | None = None) -> OnnxClassifier:
        """Opens the export of a verified checkpoint. CheckpointError when ONNX Runtime refuses it or it answers NaN.

        threads: CPU threads of one batch; None takes the cores that this process may use.
        """
        path = folder / ONNX
        calibration = Calibration.from_manifest(manifest.to_dict())
        encoder = Encoder.load(folder / TOKENIZER, manifest.max_length)
        try:
            session = onnxruntime.InferenceSession(
                str(path), session_options(threads), providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime's errors share no base class but Exception.
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{path}: ONNX Runtime refuses it ({reason})") from error
        names = {item.name for item in session.get_outputs()}
        inputs = {item.name for item in session.get_inputs()}
        if not names.issuperset(OUTPUTS) or inputs != set(INPUTS):
            raise CheckpointError(f"{path}: its inputs and outputs are not those of a Headwind export")
        classifier = cls(session, manifest, encoder, calibration, pad_token(folder / CONFIG))
        classifier._probe(str(path))
        return classifier

    def _run(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> Heads:
        sentiment, topics, primary = self._session.run(
            list(OUTPUTS), {"input_ids": input_ids, "attention_mask": attention_mask}
        )
        return Heads(sentiment, topics, primary)


def usable_cores() -> int:
    """CPU cores that this process may run on, which in a container is fewer than the machine has."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def session_options(threads: int | None) -> onnxruntime.SessionOptions:
    """Options under which numbers and memory stay the same from run to run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    # The shapes change with every batch: an arena planned for the last shape would only be thrown away.
    options.enable_mem_pattern = False
    return options
