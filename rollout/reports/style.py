"""How a report page looks. Light or dark as the reader's system is; statuses as on the console."""

STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --text: #1c2430; --soft: #5c6775; --line: #e3e7ec;
  --good: #12805c; --bad: #c92a2a; --warn: #9a6700; --init: #98a4b3; --plan: #eda100; --apply: #2a78d6;
  --destroy: #8b5cf6; --other: #1baf7a; --badge: #fff; }
@media (prefers-color-scheme: dark) { :root { --ground: #12161c; --card: #1b212a; --text: #e8ecf1; --soft: #98a4b3;
  --line: #2c3440; --good: #4cc38a; --bad: #ff7b72; --warn: #e3b341; --init: #5c6775; --badge: #12161c; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 20px; background: var(--ground); color: var(--text);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header, main { max-width: 1280px; margin: 0 auto; }
header { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline; margin-bottom: 14px; }
header span { color: var(--soft); overflow-wrap: anywhere; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 16px; margin: 0 0 8px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px;
  margin-bottom: 12px; min-width: 0; }
.badge { border-radius: 6px; padding: 2px 8px; font-weight: 600; color: var(--badge); background: var(--good); }
.badge.failed { background: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); gap: 8px; }
.tiles div { border: 1px solid var(--line); border-radius: 6px; padding: 6px 10px; }
.tiles b { display: block; font-size: 20px; font-variant-numeric: tabular-nums; } .tiles span { color: var(--soft); }
.row { display: grid; grid-template-columns: 250px 1fr; gap: 10px; align-items: center; padding: 2px 0; }
.row > span { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.bar { position: relative; height: 16px; background: var(--ground); border-radius: 3px; overflow: hidden; }
.bar i { position: absolute; top: 0; bottom: 0; min-width: 2px; background: var(--other); }
.bar .init { background: var(--init); } .bar .plan { background: var(--plan); }
.bar .apply { background: var(--apply); }
.bar .destroy { background: var(--destroy); }
.bar.failed { outline: 2px solid var(--bad); outline-offset: -2px; }
.scale { color: var(--soft); font-size: 12px; display: flex; justify-content: space-between; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 14px; margin: 8px 0 0; padding: 0;
  color: var(--soft); font-size: 12px; }
.legend i { display: inline-block; width: 12px; height: 10px; border-radius: 2px; margin-right: 5px;
  background: var(--other); }
.legend .init i { background: var(--init); } .legend .plan i { background: var(--plan); }
.legend .apply i { background: var(--apply); } .legend .destroy i { background: var(--destroy); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 3px 10px 3px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } th[scope=row] { color: inherit; font-weight: inherit; }
.n { text-align: right; }
td:first-child, th[scope=row] { white-space: nowrap; }
td.text { overflow-wrap: anywhere; min-width: 180px; }
.good { color: var(--good); } .bad, .danger { color: var(--bad); } .danger { font-weight: 600; }
.warn { color: var(--warn); } .quiet { color: var(--soft); }
pre { background: var(--ground); border-radius: 6px; padding: 8px 10px; overflow-x: auto; margin: 6px 0;
  font: 12px/1.4 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin: 4px 0; } summary { cursor: pointer; } ul.list { margin: 4px 0 8px; padding-left: 20px; }
ul.list li { overflow-wrap: anywhere; }
@media (max-width: 700px) { body { padding: 10px; } .row { grid-template-columns: 1fr; gap: 2px; padding: 4px 0; } }
"""
