"""A headless Chromium that says what a page looks like: its console, and whether everything is where it should be."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Looks at the page as laid out; every finding is a line. Where text is meant to be cut off, it says so in its title.
LOOK = """
const found = [], page = document.documentElement, name = one => one.textContent.trim().slice(0, 60);
if (page.scrollWidth > page.clientWidth) found.push(`${page.scrollWidth} px in a window of ${page.clientWidth} px`);
for (const bar of document.querySelectorAll(".bar")) {
  const track = bar.getBoundingClientRect();
  for (const part of bar.children) {
    const box = part.getBoundingClientRect();
    if (box.width < 1 || box.height < 8) found.push(`a bar of ${box.width} x ${box.height} px`);
    if (box.left < track.left - 1 || box.left > track.right) found.push("a bar outside of its row");
  }
}
for (const one of document.querySelectorAll("h1, h2, h3, td, th, summary, li, p, b, span")) {
  if (one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0 && getComputedStyle(one).overflow === "hidden"
      && !one.title) found.push(`cut off: ${name(one)}`);
}
for (const image of document.querySelectorAll("svg")) {
  const frame = image.getBoundingClientRect();
  if (frame.width < 1 || frame.height < 1) found.push("an empty picture");
  const texts = [...image.querySelectorAll("text")].map(text => [name(text), text.getBoundingClientRect()]);
  for (const [text, box] of texts) {
    if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1
        || box.bottom > frame.bottom + 1) found.push(`outside of its picture: ${text}`);
  }
  texts.forEach(([text, box], index) => texts.slice(index + 1).forEach(([other, its]) => {
    const across = Math.min(box.right, its.right) - Math.max(box.left, its.left);
    const down = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
    if (across > 2 && down > 4) found.push(`one upon the other: ${text} / ${other}`);
  }));
}
page.dataset.seen = JSON.stringify(found);
"""


class NoBrowserError(Exception):
    """There is no browser to look with."""


def browser() -> str:
    """The browser's path: ``TRIPOINT_BROWSER``, or what `PATH` has.

    Raises
    ------
    NoBrowserError
        Neither is there.
    """
    named = os.environ.get("TRIPOINT_BROWSER")
    found = next((path for name in ([named] if named else NAMES) if (path := shutil.which(name))), None)
    if found is None:
        where = f"TRIPOINT_BROWSER: {named} is no program" if named else "no browser on PATH"
        raise NoBrowserError(f"{where}; allowed: Chromium or Chrome, as one of {', '.join(NAMES)}")
    return found


def console(page: Path) -> list[str]:
    """What the page, as it is, makes the browser complain about."""
    said = _run(page, "--enable-logging=stderr", "--dump-dom").stderr
    return re.findall(r":CONSOLE[^\]]*\] (.+)", said)


def seen(markup: str, folder: Path, width: int) -> list[str]:
    """What is not where it should be, in a window of this width in pixels.

    The script that looks is put into a copy of the page, so the copy goes without the page's security policy.
    """
    copy = folder / "seen.html"
    policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
    # An SVG picture is looked at as a page shows it, as wide as the window at most.
    body = (
        re.sub(policy, "", markup)
        if "<html" in markup
        else f"<!doctype html><style>svg{{max-width:100%}}</style>{markup}"
    )
    copy.write_text(f"{body}<script>{LOOK}</script>", encoding="utf-8")
    shown = _run(copy, "--dump-dom", f"--window-size={width},1200").stdout
    found = re.search(r'<html[^>]* data-seen="([^"]*)"', shown)
    assert found, "the script that looks did not run"
    return list(json.loads(unescape(found[1])))


def _run(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # --no-sandbox: Chromium refuses to start for root otherwise, and the pages are our own.
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
