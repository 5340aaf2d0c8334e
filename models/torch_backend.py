"""The classifier on torch: the whole safetensors checkpoint, bf16 on CUDA and fp32 on the CPU.

Slower than ONNX Runtime on a CPU; needed for a GPU, and for the auxiliary heads, which the int8 export leaves out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from models.batching import Encoder, in_chunks, padded
from models.calibrate import Calibration
from models.errors import CheckpointError, ModelError
from models.labels import SENTIMENTS, TOPICS
from models.network import HeadwindModel
from models.registry import CONFIG, TOKENIZER, WEIGHTS, Manifest
from models.scorer import Floats, Heads, Scorer, Shapes
from models.weights import pad_token

log = logging.getLogger(__name__)

CPU_SHAPES: Final = Shapes(token_budget=2048)
# Few shapes, each always whole: see `models.batching.plan`. The spare position keeps a zero in every mask: with none,
# transformers drops the mask and torch takes another attention kernel, which a text would notice in its last digits.
CUDA_SHAPES: Final = Shapes(token_budget=16_384, width_multiple=8, spare=1, fixed_height=True, chunk=65_536)

# What allocators say that raise no OutOfMemoryError: the CPU's, cuBLAS and cuDNN.
_NO_MEMORY: Final = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class TorchClassifier(Scorer):
    """Scores with torch. When memory runs out the batch is halved, in the end on the CPU; no text is lost (M5)."""

    def __init__(
        self,
        model: HeadwindModel,
        manifest: Manifest,
        encoder: Encoder,
        calibration: Calibration,
        pad_id: int = 0,
        device: str = "cpu",
    ) -> None:
        super().__init__(manifest, encoder, calibration, pad_id)
        self._model = model.eval()
        self._to(device)

    @classmethod
    def load(
        cls, folder: Path, manifest: Manifest, device: str = "auto", threads: int | None = None
    ) -> TorchClassifier:
        """Opens a verified checkpoint. CheckpointError when its weights do not fit its configuration, when it answers
        NaN, or when CUDA is asked for and there is none.

        threads: CPU threads, for the whole process as torch has it; None leaves them as they are.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise CheckpointError("device cuda: torch finds no CUDA device here; take cpu or auto")
        if threads:
            torch.set_num_threads(threads)
        calibration = Calibration.from_manifest(manifest.to_dict())
        encoder = Encoder.load(folder / TOKENIZER, manifest.max_length)
        model = _load_network(folder)
        classifier = cls(model, manifest, encoder, calibration, pad_token(folder / CONFIG), device)
        classifier._probe(str(folder / WEIGHTS))
        return classifier

    @property
    def device(self) -> str:
        """ "cpu" or "cuda"; may change to "cpu" for good when the other runs out of memory."""
        return self._device

    @property
    def conventions(self) -> tuple[str, ...]:
        """Names of the auxiliary heads that `logits` can be asked for."""
        return tuple(self._model.auxiliary_names)

    def head_labels(self, head: str) -> tuple[str, ...]:
        """Labels of a head in the order of its logits. ModelError for a head that the checkpoint has not."""
        config = self._model.config
        known: dict[str, Sequence[str]] = {
            **config.auxiliary_sentiment,
            **config.auxiliary_topic,
            "sentiment": SENTIMENTS,
            "topics": TOPICS,
            "primary": TOPICS,
        }
        if head not in known:
            raise ModelError(f"{self.version}: no head called {head!r}; it has {', '.join(sorted(known))}")
        return tuple(known[head])

    def logits(self, texts: Sequence[str], head: str = "sentiment") -> Floats:
        """Uncalibrated logits [B, labels] of one head, an auxiliary one too; NaN in rows that cannot be scored."""
        width = len(self.head_labels(head))
        if head in ("sentiment", "topics", "primary"):
            product: Floats = getattr(self.head_logits(texts), head)
            return product
        parts = [np.full((0, width), np.nan, dtype=np.float32)]
        for chunk in in_chunks(texts, self.shapes.chunk):
            tokens = self._encoder.encode(chunk)
            rows = [index for index, item in enumerate(tokens) if item is not None]
            ids = [item.ids for item in tokens if item is not None]
            part = np.full((len(chunk), width), np.nan, dtype=np.float32)
            for batch in self._plan([len(row) for row in ids]):
                answer = self._answer(*padded(ids, batch, self._pad_id), head=head)
                part[np.asarray(rows)[batch.rows]] = answer[0][: len(batch.rows)]
            parts.append(part)
        return np.concatenate(parts)

    def _run(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> Heads:
        return Heads(*self._answer(input_ids, attention_mask))

    def _answer(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], head: str | None = None
    ) -> tuple[Floats, ...]:
        """One batch, in as many pieces as memory asks for; the last resort is the CPU, one text at a time."""
        rows = len(input_ids)
        if input_ids.size <= self._most_tokens or rows == 1:
            try:
                return self._forward(input_ids, attention_mask, head)
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not _out_of_memory(error) or (rows == 1 and self._device == "cpu"):
                    raise
            # Outside the handler: there the traceback would keep the tensors that have to go.
            self._shrink(input_ids.size, rows)
        if rows == 1:
            return self._answer(input_ids, attention_mask, head)
        middle = rows // 2
        first = self._answer(input_ids[:middle], attention_mask[:middle], head)
        second = self._answer(input_ids[middle:], attention_mask[middle:], head)
        return tuple(np.concatenate(pair) for pair in zip(first, second, strict=True))

    def _shrink(self, tokens: int, rows: int) -> None:
        """Less from now on: half of what did not fit, or the CPU when a single text did not."""
        if self._device == "cuda":
            torch.cuda.empty_cache()
        if rows > 1:
            self._most_tokens = max(1, tokens // 2)
            log.warning("out of memory on %s: batches are now at most %d tokens", self._device, self._most_tokens)
            return
        log.warning("out of memory on %s for a single text: scoring goes on on the CPU", self._device)
        self._to("cpu")

    def _forward(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], head: str | None
    ) -> tuple[Floats, ...]:
        with torch.inference_mode():
            ids = torch.from_numpy(input_ids).to(self._device)
            mask = torch.from_numpy(attention_mask).to(self._device)
            if head is not None:
                features = self._model.pooled(ids, mask)
                return (self._model.auxiliary_logits(head, features).float().cpu().numpy(),)
            output = self._model(input_ids=ids, attention_mask=mask)
            answers = (output.sentiment_logits, output.topic_logits, output.primary_logits)
            return tuple(answer.float().cpu().numpy() for answer in answers)

    def _to(self, device: str) -> None:
        self._device = device
        self._most_tokens = 1 << 40
        positions = self._model.encoder.config.get_text_config().to_dict().get("max_position_embeddings")
        self.shapes = replace(CUDA_SHAPES, max_width=positions) if device == "cuda" else CPU_SHAPES
        self._model.to(device)
        # The encoder is all of the work; the heads stay in fp32, since three digits of a logit are too few to give
        # the same probabilities as the CPU does.
        self._model.encoder.to(torch.bfloat16 if device == "cuda" else torch.float32)


def _load_network(folder: Path) -> HeadwindModel:
    bars = transformers_logging.is_progress_bar_enabled()
    # A bar for half a second of loading would break into the worker's log and the command line's one-line errors.
    transformers_logging.disable_progress_bar()
    try:
        loaded: Any = HeadwindModel.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{folder}: torch cannot load it ({reason})") from error
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
    model, report = loaded  # a pair, since output_loading_info is asked for
    # Weights that are missing would be drawn at random without a word.
    wrong = [*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]]
    if wrong:
        raise CheckpointError(f"{folder}: weights and configuration disagree, first in {wrong[0]}")
    model.encoder.register_forward_hook(_states_as_float)
    return model


def _states_as_float(module: Any, arguments: Any, output: Any) -> Any:
    """Hands the encoder's states to the heads in fp32, whatever the encoder computed in."""
    output.last_hidden_state = output.last_hidden_state.float()
    return output


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _NO_MEMORY)
