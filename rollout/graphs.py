"""The graph of stacks as text and as DOT."""

from __future__ import annotations

from shared.contracts import Graph


def as_text(graph: Graph) -> str:
    """A block per wave; the stacks of a wave run at the same time."""
    lines: list[str] = []
    for number, wave in enumerate(graph.waves(), start=1):
        lines.append(f"wave {number}")
        for stack in wave:
            needs = ", ".join(map(str, graph.needs[stack]))
            lines.append(f"  {stack}" + (f"  <- {needs}" if needs else ""))
    return "\n".join(lines)


def as_dot(graph: Graph) -> str:
    """Graphviz; an arrow leads from a stack to one that it needs."""
    lines = ["digraph tripoint {", "  rankdir = BT;", "  node [shape = box];"]
    lines += [f'  "{stack}";' for stack in graph.order]
    lines += [f'  "{stack}" -> "{need}";' for stack, needs in graph.needs.items() for need in needs]
    return "\n".join([*lines, "}"])
