"""A dashboard as one HTML page without anything from outside. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rollout.dashboards.charts import Limit, chart, colour_of, dash_of, number_text
from rollout.dashboards.reading import AlarmState, Series, Span, Widget

STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --text: #1c2430; --soft: #5c6775; --line: #e3e7ec;
  --good: #12805c; --bad: #c92a2a; --unknown: #6b7280; --limit: #c92a2a; }
@media (prefers-color-scheme: dark) { :root { --ground: #12161c; --card: #1b212a; --text: #e8ecf1; --soft: #98a4b3;
  --line: #2c3440; --good: #4cc38a; --bad: #ff7b72; --unknown: #98a4b3; --limit: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 20px; background: var(--ground); color: var(--text);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { display: grid; grid-template-columns: repeat(24, 1fr); gap: 12px; max-width: 1680px; margin: 0 auto; }
header { max-width: 1680px; margin: 0 auto 14px; display: flex; flex-wrap: wrap; gap: 4px 16px;
  align-items: baseline; }
header b { font-size: 15px; } header span { color: var(--soft); }
h1 { font-size: 22px; margin: 2px 0; } h2 { font-size: 16px; margin: 12px 0 0; color: var(--soft); font-weight: 600; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px;
  min-width: 0; }
section.text { background: none; border: 0; padding: 0; }
h3 { font-size: 14px; margin: 0; } h3 small { font-weight: 400; color: var(--soft); margin-left: 6px; }
svg { width: 100%; height: auto; display: block; margin-top: 4px; }
svg text { font-size: 11px; fill: var(--soft); }
svg .empty { font-size: 15px; } svg .limit-label { fill: var(--limit); }
.grid { stroke: var(--line); stroke-width: 1; } .tickmark { stroke: var(--soft); stroke-width: 1; }
.limit { stroke: var(--limit); stroke-width: 1.3; stroke-dasharray: 5 4; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; } .area { opacity: .35; }
.hover { opacity: 0; } .hover:hover { opacity: .9; }
ul { list-style: none; margin: 6px 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 14px; }
li { display: flex; align-items: center; gap: 6px; font-size: 12px; color: var(--soft); min-width: 0; }
li b { color: var(--text); font-weight: 600; font-variant-numeric: tabular-nums; }
li svg { width: 18px; height: 8px; margin: 0; flex: none; }
.alarms { gap: 6px; } .alarms li { border: 1px solid var(--line); border-radius: 6px; padding: 3px 8px; }
.alarms i { width: 9px; height: 9px; border-radius: 50%; background: var(--unknown); }
.OK i { background: var(--good); } .ALARM i { background: var(--bad); }
.alarms .ALARM { border-color: var(--bad); color: var(--text); }
@media (max-width: 1000px) { main { grid-template-columns: 1fr; } section { grid-column: 1 / -1 !important; } }
"""


def page(name: str, home: str, span: Span, widgets: Sequence[Widget]) -> str:
    """The page of one dashboard."""
    time = f"{span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}</title><style>{STYLE}</style></head><body>\n"
        f"<header><b>{escape(name)}</b><span>dashboard deployed in {escape(home)}</span><span>{time}</span></header>\n"
        f"<main>\n{''.join(_widget(widget, span) for widget in widgets)}</main></body></html>\n"
    )


def _widget(widget: Widget, span: Span) -> str:
    place = f'style="grid-column: {widget.x + 1} / span {widget.width}"'
    match widget.kind:
        case "text":
            return f'<section class="text" {place}>{_markdown(widget.properties["markdown"])}</section>\n'
        case "alarm":
            return f"<section {place}><h3>{escape(widget.properties['title'])}</h3>{_alarms(widget.alarms)}</section>\n"
        case _:
            return f"<section {place}>{_graph(widget, span)}</section>\n"


def _markdown(text: str) -> str:
    """Headings are all that the dashboards use."""
    level = len(text) - len(text.lstrip("#"))
    return f"<h{level}>{escape(text.lstrip('# '))}</h{level}>" if level else f"<p>{escape(text)}</p>"


def _graph(widget: Widget, span: Span) -> str:
    properties = widget.properties
    unit = properties.get("yAxis", {}).get("left", {}).get("label", "")
    limits = [
        Limit(str(line.get("label", "")), float(line["value"]))
        for line in properties.get("annotations", {}).get("horizontal", ())
    ]
    drawing = chart(widget.series, span, widget.period_s, limits=limits, stacked=bool(properties.get("stacked", False)))
    return f"<h3>{escape(properties['title'])}<small>{escape(unit)}</small></h3>{drawing}{_legend(widget.series)}"


def _legend(series: Sequence[Series]) -> str:
    entries = []
    for number, one in enumerate(series):
        dash = f' stroke-dasharray="{dash_of(number)}"' if dash_of(number) else ""
        line = f'<line x1="0" x2="18" y1="4" y2="4" stroke="{escape(colour_of(one, number), quote=True)}" '
        latest = f"<b>{number_text(one.points[-1][1])}</b>" if one.points else "no data"
        entries.append(
            f'<li><svg viewBox="0 0 18 8">{line}stroke-width="3"{dash}/></svg>{escape(one.label)} {latest}</li>'
        )
    return f"<ul>{''.join(entries)}</ul>"


def _alarms(alarms: Sequence[AlarmState]) -> str:
    worst_first = sorted(alarms, key=lambda alarm: ("ALARM", "MISSING", "INSUFFICIENT_DATA", "OK").index(alarm.state))
    entries = (
        f'<li class="{escape(alarm.state)}" title="{escape(alarm.reason, quote=True)}"><i></i>'
        f"{escape(alarm.name)} <b>{escape(alarm.state.replace('_', ' ').lower())}</b></li>"
        for alarm in worst_first
    )
    return f'<ul class="alarms">{"".join(entries)}</ul>'
