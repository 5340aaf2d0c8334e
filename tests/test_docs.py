"""The documentation fails when it is wrong: each setting, command and rule kind appears where people look."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from monitor.cli import build_parser
from monitor.domain import RuleKind
from monitor.settings import described

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.mark.parametrize(("name", "variable", "default", "text"), described(), ids=lambda value: str(value)[:20])
def test_every_setting_stands_in_the_operations_guide(name: str, variable: str, default: str, text: str) -> None:
    rows = [line for line in (DOCS / "operations.md").read_text().splitlines() if line.startswith("|")]
    row = next((line for line in rows if f"`{variable}`" in line), "")
    assert f"`{name}`" in row
    assert text in row
    assert not default or f"`{default}`" in row


def test_deploy_files_and_guides_name_settings_that_exist() -> None:
    import re

    root = DOCS.parent
    known = {variable for _, variable, _, _ in described()} | {"HEADWIND_CONFIG", "HEADWIND_DB_PASSWORD"}
    named = {
        (path.name, name)
        for path in [*(root / "deploy").iterdir(), *DOCS.glob("*.md")]
        for name in re.findall(r"HEADWIND_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8"))
    }
    assert {one for one in named if one[1] not in known} == set()
    assert ("compose.yaml", "HEADWIND_ALLOW_REMOTE") in named


def commands() -> list[str]:
    actions = [a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return sorted(actions[0].choices)


@pytest.mark.parametrize("command", commands())
def test_every_command_stands_in_the_command_reference(command: str) -> None:
    assert f"python -m monitor {command}" in (DOCS / "commands.md").read_text()


@pytest.mark.parametrize("kind", list(RuleKind))
def test_every_rule_kind_is_explained(kind: RuleKind) -> None:
    assert f"`{kind.value}`" in (DOCS / "alerts.md").read_text()


def test_relative_links_in_the_docs_lead_somewhere() -> None:
    import re

    root = DOCS.parent
    broken = []
    for page in [*root.glob("*.md"), *DOCS.glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_every_fault_in_the_table_has_the_tests_it_names_and_no_test_is_left_out() -> None:
    import re

    root = DOCS.parent
    found: dict[str, set[str]] = {}
    tests: dict[str, int] = {}
    for path in (root / "tests").rglob("test_*.py"):
        for numbers in re.findall(r"def test_((?:[FPSMAUDXL]\d+_)+)", path.read_text(encoding="utf-8")):
            for number in numbers.strip("_").split("_"):
                found.setdefault(number, set()).add(str(path.relative_to(root)))
                tests[number] = tests.get(number, 0) + 1
    rows = re.findall(r"^\| ([A-Z]\d+) \|.*\| ([^|]+) \|$", (DOCS / "faults.md").read_text(), re.MULTILINE)
    told = {number: set(re.findall(r"`(tests/[^`]+)`", text)) for number, text in rows}
    assert {number: files for number, files in told.items() if files} == found
    counts = {number: sum(map(int, re.findall(r"(\d+) in `", text))) for number, text in rows}
    assert {number: count for number, count in counts.items() if count} == tests


def test_every_test_that_the_alerts_guide_names_exists() -> None:
    import re

    named = set(re.findall(r"`(test_\w+)`", (DOCS / "alerts.md").read_text(encoding="utf-8")))
    code = "".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / "tests").rglob("test_*.py"))
    assert len(named) >= 7
    assert {name for name in named if f"def {name}(" not in code} == set()
