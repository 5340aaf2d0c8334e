"""MODEL_CARD.md from a manifest: what the checkpoint is for, what it saw, what was measured, where it fails.

Only numbers that stand in the manifest are written; nothing is rounded up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def _figure(scores: Mapping[str, Any], name: str) -> str:
    span = scores.get(f"{name}_ci")
    return f"{scores[name]:.3f}" + (f" [{span[0]:.3f}, {span[1]:.3f}]" if span else "")


def _product_rows(metrics: Mapping[str, Any]) -> list[str]:
    rows = []
    for split, figures in metrics.items():
        if not isinstance(figures, Mapping) or "n" not in figures or figures.get("convention"):
            continue
        sentiment, topics = figures.get("sentiment") or {}, figures.get("topics") or {}
        rows.append(
            f"| {split} | {figures['n']} | {_figure(sentiment, 'macro_f1') if sentiment else '–'} | "
            f"{_figure(sentiment, 'accuracy') if sentiment else '–'} | "
            f"{_figure(topics, 'micro_f1') if topics else '–'} | "
            f"{_figure(topics, 'primary_accuracy') if topics else '–'} |"
        )
    return rows


def _convention_rows(metrics: Mapping[str, Any]) -> list[str]:
    rows = []
    for split, figures in metrics.items():
        if not isinstance(figures, Mapping) or not figures.get("convention"):
            continue
        scores: Mapping[str, Any] = figures.get("sentiment") or figures["auxiliary"]
        rows.append(f"| {split} | {figures['n']} | {_figure(scores, 'accuracy')} | {_figure(scores, 'macro_f1')} |")
        for level, part in (figures.get("slices") or {}).get("agreement", {}).items():
            rows.append(
                f"| {split}, agreement {level} % | {part['n']} | {_figure(part, 'accuracy')} "
                f"| {_figure(part, 'macro_f1')} |"
            )
    return rows


def model_card(manifest: Mapping[str, Any], limits: Sequence[str] = ()) -> str:
    """The card of one checkpoint as Markdown."""
    metrics = manifest["metrics"]
    test = metrics.get("test", {})
    lines = [
        f"# {manifest['version']}",
        "",
        f"Sentiment and topics of English financial news for risk desks. Base: {manifest['base']}; "
        f"created {manifest['created'][:10]}; languages: {', '.join(manifest['languages'])}.",
        "",
        "Intended use: tagging headlines with or without their lead for monitoring, trends and alerts that a person "
        "reads. Not for trading decisions without a person, not for judging people, not for languages not listed.",
        "",
        "## Measured on held-out stories",
        "",
        "95 % bootstrap intervals in brackets. `test` holds stories no part of which was trained on, in any corpus; "
        "`later` holds the newest headlines, kept out as a block; `random` holds draws at random from the archives "
        "that were labelled for measuring alone; `natural` is the part of `test` that was drawn at random, with "
        "`random`. Figures are those of the shipped int8 file.",
        "",
        "| split | texts | sentiment macro-F1 | accuracy | topics micro-F1 | main topic accuracy |",
        "| --- | --- | --- | --- | --- | --- |",
        *_product_rows(metrics),
        "",
    ]
    if test.get("topics"):
        recall = ", ".join(f"{name} {value:.3f}" for name, value in test["topics"]["severe_recall"].items())
        lines += [f"Recall of severe topics on `test`: {recall}.", ""]
    for split in ("test", "random", "natural"):
        found = metrics.get(split, {}).get("sentiment") or {}
        if "ece_natural_mix" in found:
            perfect, perfect_natural = (
                found["ece_of_perfect_calibration"],
                found["ece_natural_mix_of_perfect_calibration"],
            )
            lines += [
                f"Calibration on `{split}`, natural mix: ECE {found['ece_natural_mix']:.3f} over 15 equal-mass bins; "
                f"perfectly calibrated predictions would show {perfect_natural:.3f} on as few rows. "
                f"All rows together: ECE {found['ece']:.3f} (perfect: {perfect:.3f}).",
                "",
            ]
    conventions = _convention_rows(metrics)
    if conventions:
        lines += [
            "Auxiliary heads, each in its own corpus' convention (fp32 weights):",
            "",
            "| corpus, held-out part | texts | accuracy | macro-F1 |",
            "| --- | --- | --- | --- |",
            *conventions,
            "",
        ]
    if "int8_agreement" in metrics:
        found = metrics["int8_agreement"]
        lines += [
            f"Int8 against fp32 on {found['texts']:.0f} test texts: same sentiment {found['sentiment']:.3f}, same "
            f"topics {found['topics']:.3f}, mean difference of a probability {found['mean_difference']:.4f}, largest "
            f"{found['largest_difference']:.3f}.",
            "",
        ]
    behaviour = test.get("behaviour")
    if behaviour:
        lines += ["## Behaviour suite", "", "| capability | passed | cases |", "| --- | --- | --- |"]
        lines += [f"| {name} | {row['passed']} | {row['cases']} |" for name, row in behaviour["capabilities"].items()]
        lines.append("")
    lines += [
        "## Data and licences",
        "",
        "The weights saw the training part of these; `headlines` and `annotations` were labelled by large language "
        "models after the project's guide, the others by their authors.",
        "",
        "| corpus | licence | rows read | used for |",
        "| --- | --- | --- | --- |",
        *(f"| {row['name']} | {row['licence']} | {row['rows']} | {row['used_for']} |" for row in manifest["data"]),
        "",
        "Financial PhraseBank is for non-commercial use, Reuters-21578 for research, and several sets state no "
        "licence: whoever may not use them trains without them (`train --exclude NAME`).",
        "",
        "## Limits",
        "",
        *(f"- {line}" for line in [*limits, *_LIMITS]),
        "",
    ]
    return "\n".join(lines)


_LIMITS = (
    "The labels of the product's heads come from one kind of labeller: agreement with them is consistency, not truth.",
    "Below `unsure_below` a prediction is marked unsure and belongs in front of a person.",
    "Texts are English headlines and leads; forum posts, filings and transcripts were not measured.",
    "Two subjects that pull apart, irony and quoted opinions are often wrong.",
)
