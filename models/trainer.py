"""`transformers.Trainer` with what this project adds to it.

Batches come in the order drawn up front; learning rates fall from the top layer down; the schedule follows whichever
of steps and wall clock is further, so a run with a time budget ends with a decayed rate on a busy machine too.
Adversarial steps and distillation are options. Nothing here reads files of data or writes final checkpoints.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from models.labels import TOPICS
from models.network import IGNORE
from models.runs import PROGRESS


class Budget(TrainerCallback):
    """Wall-clock budget of a run in seconds, kept across resumes in `progress.json` of the run's folder.

    seconds None means no limit. `progress` is the spent share, 0 to 1.
    """

    def __init__(self, folder: Path, seconds: float | None) -> None:
        self.file = folder / PROGRESS
        self.seconds = seconds
        self.before = float(json.loads(self.file.read_text())["elapsed"]) if self.file.exists() else 0.0
        self.started = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, those before a kill included as of the last save."""
        return self.before + time.monotonic() - self.started

    @property
    def progress(self) -> float:
        return min(1.0, self.elapsed / self.seconds) if self.seconds else 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.started = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.seconds and self.elapsed >= self.seconds:
            control.should_training_stop = True
            # The last steps have the lowest rate and are the best: early stopping must see them too.
            control.should_save = True
            control.should_evaluate = control.should_evaluate or bool(args.load_best_model_at_end)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self.file.write_text(json.dumps({"elapsed": self.elapsed, "step": state.global_step}))


def layer_groups(
    model: nn.Module, rate: float, head_rate: float, decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Parameter groups with a learning rate per depth: heads `head_rate`, top layer `rate`, each lower one x `decay`.

    Low-rank factors get twice `rate` at every depth: with that of the heads the encoder collapses to one answer.
    Biases and norms get no weight decay. Parameters that a method froze are left out.
    """
    depth = 0
    for name, _ in model.named_parameters():
        if ".layer." in name:
            depth = max(depth, int(name.split(".layer.")[1].split(".")[0]) + 1)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if "lora_" in name:
            scale = 2 * rate
        elif "encoder." not in name or "adapter" in name:
            scale = head_rate
        elif ".layer." in name:
            scale = rate * decay ** (depth - 1 - int(name.split(".layer.")[1].split(".")[0]))
        else:
            scale = rate * decay**depth
        lost = 0.0 if parameter.ndim < 2 else weight_decay
        groups.setdefault((scale, lost), []).append(parameter)
    return [{"params": found, "lr": scale, "weight_decay": lost} for (scale, lost), found in groups.items()]


class HeadwindTrainer(Trainer):
    """See the module. teachers: models whose averaged answers are distilled; fgm: size of the adversarial step."""

    def __init__(
        self,
        *args: Any,
        budget: Budget,
        head_rate: float,
        layer_decay: float,
        teachers: Sequence[nn.Module] = (),
        fgm: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.budget = budget
        self.head_rate = head_rate
        self.layer_decay = layer_decay
        self.teachers = [teacher.to(self.args.device).requires_grad_(False).eval() for teacher in teachers]
        self.fgm = fgm
        self.add_callback(budget)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows: Any = train_dataset if train_dataset is not None else self.train_dataset
        return SequentialSampler(rows)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            network: Any = model or self.model
            groups = layer_groups(
                network, self.args.learning_rate, self.head_rate, self.layer_decay, self.args.weight_decay
            )
            self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6, fused=True)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        if self.lr_scheduler is None:
            warm = max(1, self.args.get_warmup_steps(num_training_steps))

            def factor(step: int) -> float:
                progress = max(step / max(1, num_training_steps), self.budget.progress)
                return max(0.0, min((step + 1) / warm, 1.0 - progress))

            steered: Any = optimizer or self.optimizer
            self.lr_scheduler = LambdaLR(steered, factor)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = model(**inputs)
        loss = outputs.loss
        if self.teachers and model.training:
            loss = 0.5 * loss + 0.5 * self._distillation(outputs, inputs)
        return (loss, outputs) if return_outputs else loss

    def _distillation(self, outputs: Any, inputs: dict[str, Any]) -> Tensor:
        """Cross-entropy against the teachers' averaged probabilities, per row, over the product's heads."""
        with torch.no_grad():
            answers = [teacher(inputs["input_ids"], inputs["attention_mask"]) for teacher in self.teachers]
            sentiment = torch.stack([a.sentiment_logits.softmax(-1) for a in answers]).mean(0)
            primary = torch.stack([a.primary_logits.softmax(-1) for a in answers]).mean(0)
            topics = torch.stack([a.topic_logits.sigmoid() for a in answers]).mean(0)
        per_topic = functional.binary_cross_entropy_with_logits(outputs.topic_logits, topics, reduction="sum")
        return (
            functional.cross_entropy(outputs.sentiment_logits, sentiment)
            + 0.5 * functional.cross_entropy(outputs.primary_logits, primary)
            + 0.6 * per_topic / sentiment.shape[0]
        )

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        loss = super().training_step(model, inputs, num_items_in_batch)
        if self.fgm:
            network: Any = model
            weight = network.get_input_embeddings().weight
            gradient = weight.grad
            size = gradient.norm() if gradient is not None else None
            if gradient is not None and size is not None and torch.isfinite(size) and size > 0:
                # Miyato et al. (2017): one step along the gradient of the embeddings, and the loss there as well.
                step = self.fgm * gradient / size
                weight.data.add_(step)
                super().training_step(model, inputs, num_items_in_batch)
                weight.data.sub_(step)
        return loss

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[Any, Any, Any]:
        inputs = self._prepare_inputs(inputs)
        # Scoring is rare: compiling the network once more for it would cost more than it saves.
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            outputs = model(**inputs)
        logits = (outputs.sentiment_logits, outputs.topic_logits, outputs.primary_logits)
        targets = (inputs["sentiment"], inputs["topics"], inputs["primary"])
        return outputs.loss.detach(), tuple(part.float() for part in logits), targets


def product_metrics(prediction: Any) -> dict[str, float]:
    """Sentiment macro-F1, topic micro-F1 and their mean on rows that carry the label; 0.0 where none does."""
    from sklearn.metrics import f1_score

    sentiment_logits, topic_logits, primary_logits = prediction.predictions
    sentiment, topics, primary = prediction.label_ids
    known, tagged = sentiment != IGNORE, topics[:, 0] >= 0
    scores = {"sentiment_macro_f1": 0.0, "topics_micro_f1": 0.0, "primary_accuracy": 0.0}
    if known.any():
        found = sentiment_logits[known].argmax(-1)
        scores["sentiment_macro_f1"] = float(f1_score(sentiment[known], found, average="macro", zero_division=0))
    if tagged.any():
        chosen = topic_logits[tagged] > 0
        chosen[np.arange(len(chosen)), primary_logits[tagged].argmax(-1)] = True
        assert chosen.shape[1] == len(TOPICS)
        scores["topics_micro_f1"] = float(f1_score(topics[tagged] > 0.5, chosen, average="micro", zero_division=0))
        scores["primary_accuracy"] = float((primary_logits[tagged].argmax(-1) == primary[tagged]).mean())
    parts = [scores["sentiment_macro_f1"]] * bool(known.any()) + [scores["topics_micro_f1"]] * bool(tagged.any())
    scores["score"] = float(np.mean(parts)) if parts else 0.0
    return scores
