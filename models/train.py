"""`python -m models train`: from labelled files to a checkpoint folder that the export and the evaluation read.

Every file is read and checked before anything is trained. The run's folder keeps checkpoints, logs and what was read
with which options; a killed run continues with `--resume` from its last checkpoint, on the same batches.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from models.corpus import Corpus, further_files, load_corpus, unlabelled_rows
from models.dataset import UNLABELLED, Example, load_unlabelled
from models.errors import DataError, ModelError
from models.labels import SENTIMENTS
from models.lessons import lessons
from models.runs import RUN, check_options, checkpoint_to_resume, plain, run_of, write

METHODS: Final = ("full", "frozen", "lora", "adalora", "prefix", "adapter")


def add_parser(subparsers: Any) -> None:
    """Register `train` and its options; `run` of the answer runs it."""
    parser = subparsers.add_parser("train", help="fine-tune an encoder on labelled files")
    add = parser.add_argument
    add("--data", nargs="+", required=True, type=Path, metavar="FILE", help="labelled CSV files, plain or .gz")
    add("--base", default="all-MiniLM-L6-v2", help="Hugging Face encoder: name or folder (also a checkpoint of ours)")
    add("--output", type=Path, default=Path("runs/train"), help="folder of the run (default %(default)s)")
    add("--method", choices=METHODS, default="full", help="what is trained (default %(default)s)")
    add("--rank", type=int, default=16, help="rank of LoRA and AdaLoRA, length of prefixes, width of adapters")
    add("--frozen-layers", type=int, default=4, help="lowest encoder layers that --method frozen keeps")
    add("--exclude", action="append", default=[], metavar="NAME", help="leave out a source by name; repeatable")
    add("--share", action="append", default=[], metavar="NAME=SHARE", help="rows of a source per round, as a share")
    add("--rounds", type=int, default=3, help="rounds over the product's rows (default %(default)s)")
    add("--limit", type=int, help="use only this many random rows of each file (trials)")
    add("--minutes", type=float, help="wall-clock budget; the learning rate decays to zero by then")
    add("--batch-size", type=int, default=64)
    add("--accumulate", type=int, default=1, help="batches per step")
    add("--max-length", type=int, default=96, help="tokens of a training text")
    add(
        "--rate", type=float, default=2e-4, help="learning rate of the top encoder layer; low-rank factors get twice it"
    )
    add("--head-rate", type=float, default=1e-3, help="learning rate of heads, adapters and prompts")
    add("--layer-decay", type=float, default=0.9, help="learning rate of each lower layer, times this")
    add("--warm-up", type=float, default=0.06, help="share of the steps")
    add("--weight-decay", type=float, default=0.01)
    add("--dropout", type=float, default=0.1, help="before the heads")
    add("--encoder-dropout", type=float, help="on the encoder's states (default: what the base was trained with)")
    add("--pooling", choices=("mean", "mean+attention"), default="mean+attention")
    add("--label-smoothing", type=float, default=0.05)
    add("--class-weights", action="store_true", help="weigh sentiment classes by the inverse root of their frequency")
    add("--later-share", type=float, default=1.0, help="share of the auxiliary rows kept in the second half of rounds")
    add("--drop-summary", type=float, default=0.3, help="share of the draws that show a title without its summary")
    add("--train-embeddings", action="store_true", help="also train the word embeddings (half of MiniLM's weights)")
    add(
        "--early-stopping",
        type=int,
        metavar="N",
        help="stop after N checkpoints without gain; keep the best",
    )
    add("--evaluate-every", type=int, default=500, help="steps between scores on the development part")
    add("--save-every", type=int, default=150, help="steps between checkpoints")
    add(
        "--precision",
        choices=("fp32", "fp16", "bf16"),
        default="fp32",
        help="mixed precision; bf16 where the CPU has it",
    )
    add("--compile", action="store_true", help="compile the encoder: needs a C++ compiler, twice as fast on a CPU")
    add("--quantise-aware", action="store_true", help="train with the rounding of the int8 export: a last phase")
    add("--sentiment-weight", type=float, default=1.0, help="of the sentiment loss beside that of the topics")
    add("--mlm", type=float, default=0.0, metavar="ROUNDS", help="masked-language rounds on the texts first")
    add("--fgm", type=float, default=0.0, metavar="SIZE", help="adversarial step on the embeddings (0.5 is usual)")
    add("--augment", type=float, default=0.0, metavar="SHARE", help="share of texts with case, typo or name changes")
    add(
        "--unlabelled",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="CSV files with a text or title column: more texts for --mlm, and for --distil-from one look at each",
    )
    add(
        "--further",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="labelled files that are only learnt from: rows of held-out stories are passed over",
    )
    add("--lessons", action="store_true", help="also the written lessons on negation, lowered bars and trouble averted")
    add("--distil-from", nargs="+", type=Path, default=[], metavar="FOLDER", help="checkpoints whose mean teaches")
    add("--resume", action="store_true", help="continue the run in --output from its last checkpoint")
    add("--seed", type=int, default=17)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train; 0 when the checkpoint is written to OUTPUT/final."""
    import torch

    check_options(args, torch.cuda.is_available())
    corpus = load_corpus(args.data, args.exclude, args.limit, {"train": args.further})
    final = train(args, corpus)
    print(f"checkpoint: {final}", file=sys.stderr)
    return 0


def parse_shares(words: list[str]) -> dict[str, float]:
    """`NAME=SHARE` words to a mapping. Raises DataError for an unknown source or a share that is no number."""
    from models.sources import SOURCES

    shares = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in SOURCES:
            raise DataError(f"--share {word}: no such source; known: {', '.join(SOURCES)}")
        try:
            shares[name] = float(value)
        except ValueError as error:
            raise DataError(f"--share {word}: {value!r} is not a number") from error
    return shares


def build_model(args: argparse.Namespace, corpus: Corpus) -> Any:
    """The network for this run: from a base or one of our checkpoints, with the heads the data needs."""
    import torch

    from models.network import HeadwindModel
    from models.sources import SOURCES

    used = {example.source for example in corpus.examples if example.auxiliary is not None}
    heads = {kind: {} for kind in ("sentiment", "topic")}  # type: dict[str, dict[str, list[str]]]
    for name in sorted(used):
        source = SOURCES[name]
        heads[source.kind][source.head] = list(source.head_labels)
    # On a CPU the compiler fuses attention written out; the fused kernel's backward pass takes three times as long.
    attention = "eager" if args.compile and not torch.cuda.is_available() else "sdpa"
    if is_ours(args.base):
        model = _continued(args, heads, attention)
    else:
        model = HeadwindModel.from_base(
            args.base,
            heads["sentiment"],
            heads["topic"],
            args.dropout,
            args.pooling,
            args.rank if args.method == "adapter" else 0,
            args.rank if args.method == "prefix" else 0,
            args.encoder_dropout,
        )
        if attention == "eager":
            model.encoder.set_attn_implementation(attention)
    if not args.train_embeddings and not args.fgm:
        # Half of MiniLM's weights, and words unseen in training keep the place that pretraining gave them.
        model.encoder.get_input_embeddings().weight.requires_grad_(False)
    return model


def is_ours(base: str | Path) -> bool:
    """Whether a folder holds a network of this project rather than a pretrained encoder."""
    file = Path(base) / "config.json"
    return file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("model_type") == "headwind"


def _continued(args: argparse.Namespace, heads: Mapping[str, dict[str, list[str]]], attention: str) -> Any:
    """One of our networks, with new heads for conventions that it does not know yet. Raises ModelError."""
    from models.network import HeadwindConfig, load_whole, set_encoder_dropout

    config = HeadwindConfig.from_pretrained(args.base)
    if (args.method == "prefix" and not config.prompt_size) or (args.method == "adapter" and not config.adapter_size):
        raise ModelError(f"--method {args.method}: begins with a pretrained encoder; {args.base} is a network of ours")
    if config.pooling != args.pooling:
        raise ModelError(f"--pooling {args.pooling}: {args.base} was made with {config.pooling}; give that")
    new = []
    for kind, known in (("sentiment", config.auxiliary_sentiment), ("topic", config.auxiliary_topic)):
        for name, labels in heads[kind].items():
            if name not in known:
                known[name] = labels
                new.append(name)
            elif known[name] != labels:
                raise ModelError(f"{args.base}: its head {name} has other labels than the data")
    config.dropout = args.dropout
    config.activation_ranges = {}
    if args.encoder_dropout is not None:
        set_encoder_dropout(config.encoder, args.encoder_dropout)
    return load_whole(args.base, config, new, attn_implementation=attention)


def load_teachers(folders: Sequence[Path], tokenizer: Any) -> list[Any]:
    """The networks that teach. Raises ModelError for one that is none of ours or reads other tokens than the pupil."""
    from transformers import AutoTokenizer

    from models.network import HeadwindConfig, load_whole

    found = []
    for folder in folders:
        if not is_ours(folder):
            raise ModelError(f"--distil-from {folder}: holds no network of ours; name a run's folder `final`")
        if AutoTokenizer.from_pretrained(folder, trust_remote_code=False).get_vocab() != tokenizer.get_vocab():
            raise ModelError(f"--distil-from {folder}: has another vocabulary than the pupil, whose tokens it is shown")
        found.append(load_whole(folder, HeadwindConfig.from_pretrained(folder)))
    return found


def class_weights(examples: list[Example]) -> tuple[float, ...]:
    """Inverse root of each sentiment's frequency, mean one."""
    counts = [1 + sum(example.sentiment == k for example in examples) for k in range(len(SENTIMENTS))]
    raw = [count**-0.5 for count in counts]
    return tuple(value * len(raw) / sum(raw) for value in raw)


def train(args: argparse.Namespace, corpus: Corpus) -> Path:
    """Run the training and write the final network, tokenizer and run description. Returns their folder."""
    import torch
    from transformers import AutoTokenizer, EarlyStoppingCallback, TrainingArguments, set_seed

    from models import methods, quantise
    from models.augment import Augmenter
    from models.batches import Collator, EvaluationRows, TrainingRows, draw_rounds, order_by_length
    from models.network import LossWeights, resolve_base
    from models.trainer import Budget, HeadwindTrainer, product_metrics

    if args.precision == "bf16" and not (torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        print("--precision bf16: this CPU only emulates bf16; fp32 is many times faster here", file=sys.stderr)
    set_seed(args.seed)
    output: Path = args.output
    training, development = corpus.part("train"), corpus.part("dev", product_only=True)
    if args.early_stopping is not None and not development:
        raise DataError("--early-stopping: the files hold no development rows in the product's convention to stop by")
    archives = {path: load_unlabelled(path) for path in args.unlabelled}
    told = {
        "arguments": {key: plain(value) for key, value in vars(args).items() if key not in ("run", "command")},
        "files": [*corpus.files, *further_files(archives, args.lessons)],
        "before": run_of(args.base),
    }
    last = checkpoint_to_resume(args, told)
    shares = parse_shares(args.share)
    output.mkdir(parents=True, exist_ok=True)
    # At the start too: another run may begin with a checkpoint of this one, stopped half-way.
    write(output / RUN, told)
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(output / "tensorboard"))
    model = build_model(args, corpus)
    tokenizer = AutoTokenizer.from_pretrained(resolve_base(args.base), trust_remote_code=False)
    teachers = load_teachers(args.distil_from, tokenizer)
    unlabelled = unlabelled_rows(archives, corpus)
    if args.mlm and last is None:  # a checkpoint to go on from has these rounds behind it
        from models.pretrain import masked_language_rounds

        if torch.cuda.is_available():
            model.to("cuda")
        masked_language_rounds(model, tokenizer, [example.joined for example in (*training, *unlabelled)], args)
    model.loss_weights = LossWeights(
        sentiment=args.sentiment_weight,
        label_smoothing=args.label_smoothing,
        sentiment_classes=class_weights(training) if args.class_weights else None,
    )
    if args.lessons:
        training += lessons()
    if args.distil_from:
        training += unlabelled
        shares[UNLABELLED] = 1 / max(1, args.rounds)
    rounds = draw_rounds(training, args.rounds, args.seed, shares, args.later_share)
    lengths = [len(example.text) + min(130, len(example.summary)) for example in training]
    rows = TrainingRows(
        training,
        order_by_length(rounds, lengths, args.batch_size, args.seed),
        tokenizer,
        {name: number for number, name in enumerate(model.auxiliary_names)},
        args.max_length,
        args.drop_summary,
        Augmenter(args.augment) if args.augment else None,
        args.seed,
    )
    steps = len(rows) // (args.batch_size * args.accumulate)
    model = methods.apply(model, args.method, args.rank, args.frozen_layers, steps)
    collator = Collator(tokenizer.pad_token_id)
    if args.quantise_aware:
        seen = [
            collator([rows[k] for k in range(start, start + 32)]) for start in range(0, min(len(rows), 1280) - 31, 32)
        ]
        quantise.prepare(model, quantise.observe_ranges(model, seen))
    if args.compile:
        # Lengths differ from batch to batch: one program for all of them instead of one for each.
        model.pooled = torch.compile(model.pooled, dynamic=True)
    best = args.early_stopping is not None
    settings = TrainingArguments(
        output_dir=str(output),
        per_device_train_batch_size=args.batch_size,
        per_device_eval_batch_size=args.batch_size,
        gradient_accumulation_steps=args.accumulate,
        num_train_epochs=1,
        learning_rate=args.rate,
        warmup_steps=args.warm_up,
        weight_decay=args.weight_decay,
        max_grad_norm=1.0,
        use_cpu=not torch.cuda.is_available(),
        bf16=args.precision == "bf16",
        fp16=args.precision == "fp16",
        logging_steps=25,
        eval_strategy="steps" if development else "no",
        eval_steps=args.save_every if best else args.evaluate_every,
        save_steps=args.save_every,
        save_total_limit=2,
        load_best_model_at_end=best,
        metric_for_best_model="score",
        greater_is_better=True,
        report_to=["tensorboard", *(["wandb"] if os.environ.get("WANDB_API_KEY") else [])],
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=args.seed,
    )
    trainer = HeadwindTrainer(
        model=model,
        args=settings,
        train_dataset=rows,
        eval_dataset=EvaluationRows(development, tokenizer, args.max_length) if development else None,
        data_collator=collator,
        processing_class=tokenizer,
        compute_metrics=product_metrics,
        budget=Budget(output, args.minutes * 60 if args.minutes else None),
        head_rate=args.head_rate,
        layer_decay=args.layer_decay,
        teachers=teachers,
        fgm=args.fgm,
        callbacks=[
            *([EarlyStoppingCallback(args.early_stopping)] if best else []),
            *methods.callbacks(model, args.method),
        ],
    )
    outcome = trainer.train(resume_from_checkpoint=last)
    if args.compile:
        del model.pooled  # the plain method again, which can be copied and saved
    final = output / "final"
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    save_network(quantise.plain(methods.merged(model)), tokenizer, final)
    finished = {
        "metrics": {key: float(value) for key, value in outcome.metrics.items()},
        "history": trainer.state.log_history,
        "seconds": trainer.budget.elapsed,
        "trainable_parameters": trainable,
    }
    write(final / RUN, told | finished)
    return final


def save_network(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write config.json, model.safetensors (half precision) and the tokenizer's files to `folder`."""
    import copy

    import torch

    folder.mkdir(parents=True, exist_ok=True)
    # A copy: the caller's network stays in its own precision.
    half = copy.deepcopy(model).to(torch.float16)
    half.config.encoder.pop("_name_or_path", None)
    half.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
