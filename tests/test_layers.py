"""The architecture, guarded: imports go down only, siblings do not know each other, and the door stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Each layer may import from itself only where noted, and from every layer above it in this list.
LAYERS: list[tuple[str, set[str]]] = [
    ("words", {"models.labels", "models.errors", "models.backend", "monitor.errors", "monitor.domain"}),
    (
        "settings and net",
        {"monitor.settings", "monitor.net", "monitor.guard", "monitor.redaction", "monitor.logs", "monitor.rollups"},
    ),
    ("seams", {"monitor.store.base", "monitor.notify.base"}),
    (
        "adapters and pure logic",
        {
            "models",
            "monitor.store",
            "monitor.feeds",
            "monitor.entities",
            "monitor.text",
            "monitor.alerts",
            "monitor.notify",
            "monitor.leader",
            "monitor.metrics",
        },
    ),
    (
        "use cases",
        {
            "monitor.archives",
            "monitor.ingest",
            "monitor.scoring",
            "monitor.trial",
            "monitor.watch",
            "monitor.deliver",
            "monitor.digest",
            "monitor.desk",
            "monitor.drift",
            "monitor.keeping",
            "monitor.login",
            "monitor.mentions",
            "monitor.pages",
            "monitor.people",
            "monitor.promotion",
            "monitor.samples",
            "monitor.pulse",
            "monitor.sample_feeds",
            "monitor.review",
            "monitor.upkeep",
        },
    ),
    ("composition root", {"monitor.app"}),
    (
        "doors",
        {
            "monitor.scheduler",
            "monitor.supervisor",
            "monitor.demo",
            "monitor.cli",
            "monitor.__main__",
            "dashboard",
            "streamlit_app",
        },
    ),
]
SIBLINGS = ("monitor.store", "monitor.feeds", "monitor.entities", "monitor.text", "monitor.alerts", "monitor.notify")


def modules() -> dict[str, Path]:
    found = {}
    for package in ("monitor", "models", "dashboard"):
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found["streamlit_app"] = ROOT / "streamlit_app.py"
    return {name: path for name, path in found.items() if path.exists()}


def imports_of(name: str, path: Path) -> set[str]:
    """Modules of this project that `path` imports, at any depth of its code."""
    known = modules()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*up, base] if base else up)
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in known)
    return {one for one in found if one.split(".")[0] in {"monitor", "models", "dashboard", "streamlit_app"}}


def layer_of(name: str) -> int:
    """Index of the layer with the longest matching prefix."""
    best, depth = -1, -1
    for index, (_, members) in enumerate(LAYERS):
        for member in members:
            if (name == member or name.startswith(member + ".")) and len(member) > depth:
                best, depth = index, len(member)
    return best


def test_every_module_has_a_layer() -> None:
    homeless = [name for name in modules() if layer_of(name) < 0 and name not in {"monitor", "models"}]
    assert homeless == []


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_go_down_only(name: str) -> None:
    path = modules()[name]
    mine = layer_of(name)
    upward = {one for one in imports_of(name, path) if one != "monitor" and layer_of(one) > mine}
    assert upward == set(), f"{name} reaches up to {upward}"


@pytest.mark.parametrize("name", sorted(modules()))
def test_sibling_folders_do_not_know_each_other(name: str) -> None:
    home = next((one for one in SIBLINGS if name == one or name.startswith(one + ".")), None)
    if home is None:
        return
    seams = {"monitor.store.base", "monitor.notify.base"}
    sideways = {
        one
        for one in imports_of(name, modules()[name]) - seams
        for other in SIBLINGS
        if other != home
        and (one == other or one.startswith(other + "."))
        and not any(one == seam or seam.startswith(one + ".") for seam in seams)
    }
    assert sideways == set()


def test_the_classifier_does_not_know_the_pipeline() -> None:
    guilty = [
        n for n, p in modules().items() if n.startswith("models") and any("monitor" in i for i in imports_of(n, p))
    ]
    assert guilty == []


def test_streamlit_stays_in_the_dashboard() -> None:
    guilty = [
        name
        for name, path in modules().items()
        if not name.startswith(("dashboard", "streamlit_app"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(a.name.split(".")[0] == "streamlit" for a in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "streamlit")
    ]
    assert guilty == []


@pytest.mark.parametrize("door", ["monitor.app", "monitor.cli", "dashboard", "dashboard.queries", "models.registry"])
def test_importing_a_door_loads_neither_torch_nor_transformers(door: str) -> None:
    code = f"import sys, {door}; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
