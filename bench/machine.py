"""What the benchmarks of feeds share: the machine they run on, and what a process and its children cost."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """cpu_s: seconds of processor since each process began. peak_mb: largest resident sizes, added up."""

    cpu_s: float
    peak_mb: float


def pin(cores: int) -> int:
    """Keep this process and what it starts on the first cores that it may use; gives how many those are."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:cores]))
    return len(os.sched_getaffinity(0))


def cost_of(pid: int) -> Cost:
    """The process with all that descend from it, dead children of theirs included in the seconds. Linux only."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended while we looked
            continue
        parents[int(entry.name)] = int(fields[1])
        seconds[int(entry.name)] = sum(map(int, fields[11:15])) * _TICK_S
    tree = {pid}
    while grown := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= grown
    return Cost(sum(seconds.get(one, 0.0) for one in tree), sum(map(_peak_mb, tree)))


def _peak_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def machine(cores: int) -> str:
    """Processor, the cores that were used, and the load beside us."""
    name = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model n")]
        name = models[0] if models else name
    return f"{name}, {cores} cores, {platform.system()}, load {os.getloadavg()[0]:.1f}"
