"""A run as one HTML page: no script, and nothing from outside. No I/O.

Whatever stands in a report (an error of Terraform's, a name, a path) is text, never markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from rollout.counted import counted, plural
from rollout.reports.style import STYLE

Json = Mapping[str, Any]

_PLANNED = {"added": "to add", "changed": "to change", "destroyed": "to destroy"}
_DONE = {name: name for name in _PLANNED}
_GOOD = ("applied", "unchanged", "up-to-date", "destroyed", "planned")
_BAD = ("failed",)
# What a stack's bar is made of; every other phase has the colour of the rest.
_PHASES = ("init", "plan", "apply", "destroy")
# Nothing is loaded, sent or run, whatever got into the page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: Json) -> str:
    """The page of a run.

    Parameters
    ----------
    report
        As the JSON report has it, see :mod:`rollout.report`.
    """
    title = f"tripoint {report['command']}: {report['environment']}"
    sections = [
        _summary(report),
        _failures(report),
        _timeline(report),
        _stacks(report),
        _changes(report),
        _drift(report),
        _smoke(report),
        _outputs(report),
        _run(report),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n{_header(report)}"
        f"<main>\n{''.join(sections)}</main></body></html>\n"
    )


def _header(report: Json) -> str:
    word = "interrupted" if report["interrupted"] else "done" if report["ok"] else "failed"
    kind = "badge" if report["ok"] else "badge failed"
    target = report["target"].get("endpoint") or f"AWS account {report['target']['account_id']}"
    facts = [
        f"started {str(report['started_at'])[:19].replace('T', ' ')} UTC",
        f"{report['config']} ({report['suffix']})",
        str(target),
    ]
    shown = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    name = f"{report['command']} {report['environment']}"
    return f'<header><h1>{escape(name)}</h1><b class="{kind}">{word}</b>{shown}</header>\n'


def _summary(report: Json) -> str:
    stacks = report["stacks"]
    counts: dict[str, int] = {}
    for stack in stacks:
        counts[stack["status"]] = counts.get(stack["status"], 0) + 1
    words = _PLANNED if report["command"] == "diff" else _DONE
    changes = [(sum(stack[what] for stack in stacks), word) for what, word in words.items()]
    tiles = [
        (f"{report['seconds']:.1f} s", "in all"),
        *((str(number), status) for status, number in counts.items()),
        *((str(number), f"{plural(number, 'resource')} {word}") for number, word in changes),
        (str(report["resources"]), f"{plural(report['resources'], 'resource')} in all states"),
    ]
    shown = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in tiles)
    return f'<section class="tiles">{shown}</section>\n'


def _failures(report: Json) -> str:
    failed = [stack for stack in report["stacks"] if stack["error"]]
    if not failed and not report["error"]:
        return ""
    parts = [f"<pre>{_text(report['error'])}</pre>"] if report["error"] else []
    for stack in failed:
        tail = stack.get("log_tail") or []
        log = f"<details open><summary>end of the log</summary><pre>{_text(tail)}</pre></details>" if tail else ""
        parts.append(
            f'<h3 class="bad">{escape(stack["stack"])}: {escape(stack["status"])}</h3>'
            f"<pre>{_text(stack['error'])}</pre>{log}<p class='quiet'>log: {escape(stack['log'])}</p>"
        )
    waiting = [stack["stack"] for stack in report["stacks"] if stack["status"] == "blocked"]
    if waiting:
        parts.append(f"<p>Blocked by this: {escape(', '.join(waiting))}</p>")
    return f'<section id="failures"><h2>Failures</h2>{"".join(parts)}</section>\n'


def _timeline(report: Json) -> str:
    spans = [span for stack in report["stacks"] for span in stack.get("spans", ())]
    if not spans:
        return ""
    end = max(float(report["seconds"]), *(float(span["end"]) for span in spans), 0.1)
    rows = "".join(
        f'<div class="row"><span title="{escape(stack["stack"], quote=True)}">{escape(stack["stack"])}</span>'
        f"{_bar(stack, end)}</div>"
        for stack in report["stacks"]
    )
    ticks = "".join(f"<span>{end * step / 4:.0f} s</span>" for step in range(5))
    seen = list(dict.fromkeys(span["phase"] for span in spans))
    legend = "".join(f'<li class="{_class(phase)}"><i></i>{escape(phase)}</li>' for phase in seen)
    return (
        f'<section id="timeline"><h2>Timeline</h2>{rows}'
        f'<div class="row"><span></span><div class="scale">{ticks}</div></div>'
        f'<ul class="legend">{legend}</ul></section>\n'
    )


def _bar(stack: Json, end: float) -> str:
    parts, notes = [], []
    for span in stack.get("spans", ()):
        begin, stop = float(span["begin"]), float(span["end"])
        note = f"{span['phase']}: {stop - begin:.1f} s, from {begin:.1f} s"
        notes.append(note)
        parts.append(
            f'<i class="{_class(span["phase"])}" title="{escape(note, quote=True)}" '
            f'style="left: {begin / end:.3%}; width: {(stop - begin) / end:.3%}"></i>'
        )
    failed = " failed" if stack["status"] in _BAD else ""
    said = escape("; ".join(notes) or "did not run", quote=True)
    return f'<div class="bar{failed}" role="img" aria-label="{said}">{"".join(parts)}</div>'


def _class(phase: str) -> str:
    return phase if phase in _PHASES else "other"


def _stacks(report: Json) -> str:
    numbers = ("seconds", "added", "changed", "destroyed", "resources")
    head = "".join(f'<th scope="col" class="n">{name}</th>' for name in numbers)
    rows = []
    for stack in report["stacks"]:
        status = stack["status"]
        kind = "good" if status in _GOOD else "bad" if status in _BAD else "warn"
        cells = "".join(
            f'<td class="n">{stack[name]:.1f}</td>' if name == "seconds" else f'<td class="n">{stack[name]}</td>'
            for name in numbers
        )
        notes = [stack.get("note", ""), stack.get("reason", ""), *stack.get("retries", ())]
        note = "; ".join(dict.fromkeys(text for text in notes if text))
        rows.append(
            f'<tr><th scope="row">{escape(stack["stack"])}</th><td class="{kind}">{escape(status)}</td>{cells}'
            f'<td class="text quiet">{escape(note)}</td></tr>'
        )
    return (
        '<section id="stacks"><h2>Stacks</h2><div class="scroll"><table>'
        f'<tr><th scope="col">stack</th><th scope="col">result</th>{head}<th scope="col">why</th></tr>'
        f"{''.join(rows)}</table></div></section>\n"
    )


def _changes(report: Json) -> str:
    parts: list[str] = []
    for stack in report["stacks"]:
        found = stack.get("diff") or {"changes": [], "mock_outputs": {}, "refusal": "", "outputs": {}}
        names = [*found["outputs"].get("changed", ()), *found["outputs"].get("lost", ())]
        if not found["changes"] and not names:
            parts += _replaced(stack)
            continue
        label = found["refusal"]
        if found["mock_outputs"]:
            label = f"planned with mock outputs of {', '.join(found['mock_outputs'])}"
        note = f' <span class="warn">{escape(label)}</span>' if label else ""
        items = "".join(_change(change) for change in found["changes"])
        outputs = f"<li>outputs: {escape(', '.join(names))}</li>" if names else ""
        is_open = " open" if any(change["loses_state"] for change in found["changes"]) else ""
        head = f"{escape(stack['stack'])}: {counted(len(found['changes']), 'resource')}{note}"
        parts.append(f'<details{is_open}><summary>{head}</summary><ul class="list">{items}{outputs}</ul></details>')
    return f'<section id="changes"><h2>Changes</h2>{"".join(parts)}</section>\n' if parts else ""


def _replaced(stack: Json) -> Iterator[str]:
    if stack["replaced"]:
        items = "".join(f"<li>replace {escape(address)}</li>" for address in stack["replaced"])
        yield f'<details open><summary>{escape(stack["stack"])}</summary><ul class="list">{items}</ul></details>'


def _change(change: Json) -> str:
    why = change["reason"] + (f" ({', '.join(change['forced_by'])})" if change["forced_by"] else "")
    more = why or ", ".join(change["attributes"])
    text = f"{change['action']} {change['address']}" + (f": {more}" if more else "")
    kind = ' class="danger"' if change["loses_state"] else ""
    return f"<li{kind}>{escape(text)}</li>"


def _drift(report: Json) -> str:
    parts = []
    for stack in report["stacks"]:
        for one in (stack.get("drift") or {}).get("resources", ()):
            lines = [
                f"<li>{escape(each['path'])}: {escape(str(each['before']))} → {escape(str(each['after']))}</li>"
                for each in one["attributes"]
            ]
            what = "was deleted" if one["action"] == "delete" else "was changed"
            name = escape(f"{stack['stack']}: {one['address']} {what}")
            parts.append(f'<b>{name}</b><ul class="list">{"".join(lines)}</ul>')
    return f'<section id="drift"><h2>Changed by somebody else</h2>{"".join(parts)}</section>\n' if parts else ""


def _smoke(report: Json) -> str:
    if not report["smoke"]:
        return ""
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(one.get(name, '')))}</td>" for name in _PAYMENT) + "</tr>"
        for one in report["smoke"]
    )
    head = "".join(f'<th scope="col">{name.replace("_", " ")}</th>' for name in _PAYMENT)
    table = f"<table><tr>{head}</tr>{rows}</table>"
    return f'<section id="payments"><h2>Payments</h2><div class="scroll">{table}</div></section>\n'


_PAYMENT = ("region", "read_from", "payment_id", "status", "seconds")


def _outputs(report: Json) -> str:
    found = report.get("outputs") or {}
    if not found:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="text">{escape(_value(value))}</td></tr>'
        for name, value in found.items()
    )
    return (
        f'<section id="outputs"><details><summary><b>Outputs</b> ({len(found)})</summary>'
        f'<div class="scroll"><table>{rows}</table></div></details></section>\n'
    )


def _run(report: Json) -> str:
    facts = {
        **{
            f"phase {name}": f"{seconds:.1f} s" + (", summed over the stacks" if name in _PHASES else "")
            for name, seconds in report["phases"].items()
        },
        **{f"version of {name}": value for name, value in report["versions"].items()},
        "stacks at once": report["parallel"],
        **{f"peak memory, {name.replace('_', ' ')}": f"{mb} MB" for name, mb in report["peak_memory_mb"].items()},
    }
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="text">{escape(str(value))}</td></tr>'
        for name, value in facts.items()
    )
    return f'<section id="run"><h2>The run</h2><div class="scroll"><table>{rows}</table></div></section>\n'


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _text(lines: Sequence[str]) -> str:
    return escape("\n".join(map(str, lines)))
