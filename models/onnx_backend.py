"""The classifier on ONNX Runtime: the int8 export, on the CPU. Imports neither torch nor transformers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.batching import Batch, Encoder, padded
from models.calibrate import Calibration
from models.errors import CheckpointError
from models.registry import CONFIG, ONNX, TOKENIZER, Manifest
from models.scorer import Heads, Scorer, Shapes
from models.weights import pad_token

OUTPUTS: Final = ("sentiment_logits", "topic_logits", "primary_logits")
INPUTS: Final = ("input_ids", "attention_mask")
"""What an export takes. The mask may be missing: no batch here has a padded position (`models.graph` leaves it out)."""

SLOWER: Final = ("SkipLayerNormFusion", "BiasGeluFusion")
"""Fusions of ONNX Runtime that cost time on a CPU and would undo what `models.graph` does; it measured them."""


class OnnxClassifier(Scorer):
    """Scores with ONNX Runtime. `predict` may be called from several threads: a session's run is thread-safe.

    A batch holds texts of one exact length, so nothing is padded and the attention mask has no zeros. Each batch runs
    on one thread, and as many batches at once as there are threads: cores never wait for one another within a layer.
    """

    # Small, so that the states of a batch stay in a core's cache and a few headlines are shared out to all cores.
    shapes = Shapes(token_budget=512)

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        manifest: Manifest,
        encoder: Encoder,
        calibration: Calibration,
        pad_id: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__(manifest, encoder, calibration, pad_id)
        self._session = session
        self._masked = any(item.name == INPUTS[1] for item in session.get_inputs())
        self._threads = threads or usable_cores()

    @classmethod
    def load(cls, folder: Path, manifest: Manifest, threads: int | None = None) -> OnnxClassifier:
        """Opens the export of a verified checkpoint. CheckpointError when ONNX Runtime refuses it or it answers NaN.

        threads: batches computed at once; None takes the cores that this process may use.
        """
        path = folder / ONNX
        calibration = Calibration.from_manifest(manifest.to_dict())
        encoder = Encoder.load(folder / TOKENIZER, manifest.max_length)
        try:
            session = open_session(path)
        # ONNX Runtime's errors share no base class but Exception.
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{path}: ONNX Runtime refuses it ({reason})") from error
        names = {item.name for item in session.get_outputs()}
        inputs = {item.name for item in session.get_inputs()}
        if not names.issuperset(OUTPUTS) or inputs not in (set(INPUTS), {INPUTS[0]}):
            raise CheckpointError(f"{path}: its inputs and outputs are not those of a Headwind export")
        classifier = cls(session, manifest, encoder, calibration, pad_token(folder / CONFIG), threads)
        classifier._probe(str(path))
        return classifier

    def _answers(self, ids: Sequence[Sequence[int]], batches: Sequence[Batch]) -> Iterable[Heads]:
        def answer(batch: Batch) -> Heads:
            return self._run(*padded(ids, batch, self._pad_id))

        count = min(self._threads, len(batches))
        if count < 2:
            return [answer(batch) for batch in batches]
        # A pool for the call costs a tenth of a millisecond; one that is kept would be dead in a forked worker.
        with ThreadPoolExecutor(count, thread_name_prefix="score") as pool:
            return list(pool.map(answer, batches))

    def _run(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> Heads:
        inputs = dict(zip(INPUTS, (input_ids, attention_mask) if self._masked else (input_ids,), strict=False))
        sentiment, topics, primary = self._session.run(list(OUTPUTS), inputs)
        return Heads(sentiment, topics, primary)


def usable_cores() -> int:
    """CPU cores that this process may run on, which in a container is fewer than the machine has."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """A session on the CPU for an export, with `session_options`. Raises whatever ONNX Runtime raises."""
    return onnxruntime.InferenceSession(
        str(path), session_options(), providers=["CPUExecutionProvider"], disabled_optimizers=list(SLOWER)
    )


def session_options() -> onnxruntime.SessionOptions:
    """Options for batches that run side by side, one thread each, with the same numbers in every run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    # The shapes change with every batch: an arena planned for the last shape would only be thrown away.
    options.enable_mem_pattern = False
    return options
