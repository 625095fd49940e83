"""The page in a real browser: no error, no request, sorting and searching, nothing too wide."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foretell.report import write

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

EARLY = """<script>
window.errors = [];
window.addEventListener("error", (e) => window.errors.push(String(e.message)), true);
for (const kind of ["error", "warn"]) {
  const old = console[kind];
  console[kind] = (...all) => { window.errors.push(all.join(" ")); old(...all); };
}
</script>"""

LATE = """<script>
(() => {
  const rows = () => [...document.querySelectorAll("#ranking-table tbody tr")];
  const column = (j) => rows().map((row) => row.cells[j].dataset.value);
  const head = (j) => document.querySelectorAll("#ranking-table thead th")[j];
  const click = (j) => { head(j).querySelector("button").click(); return column(j); };
  const out = { before: column(2) };
  out.up = click(2); out.sortUp = head(2).getAttribute("aria-sort");
  out.down = click(2); out.sortDown = head(2).getAttribute("aria-sort");
  out.measured = click(3);
  out.archs = (click(1), rows().map((row) => row.cells[1].textContent));
  const field = document.getElementById("ranking-search");
  field.value = "winner";
  field.dispatchEvent(new Event("input"));
  out.found = rows().filter((row) => row.offsetParent !== null).length;
  out.said = document.getElementById("ranking-count").textContent;
  field.value = "";
  field.dispatchEvent(new Event("input"));
  out.all = rows().filter((row) => row.offsetParent !== null).length;
  out.width = window.innerWidth;
  out.scroll = document.documentElement.scrollWidth;
  out.small = [...document.querySelectorAll("svg.figure")]
    .filter((svg) => svg.getBoundingClientRect().width < 150).map((svg) => svg.id);
  out.text = Math.min(...[...document.querySelectorAll("svg.figure text")]
    .map((t) => t.getBoundingClientRect().height));
  out.requests = performance.getEntriesByType("resource").map((e) => e.name);
  out.ground = getComputedStyle(document.body).backgroundColor;
  out.ink = getComputedStyle(document.querySelector("#predicted-svg text")).fill;
  out.errors = window.errors;
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify(out);
  window.parent.document.body.append(probe);
})();
</script>"""


@pytest.fixture(scope="session")
def chromium() -> str:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    return path


def probe(chromium: str, folder: Path, width: int = 1300, *flags: str) -> dict[str, Any]:
    """What the page says of itself after it was loaded and used.

    It stands in a frame of that width, because a window of Chromium is at least 500 wide.
    """
    text = write(folder).read_text(encoding="utf-8")
    assert text.count("<head>") == text.count("</body>") == 1
    text = text.replace("<head>", f"<head>{EARLY}").replace("</body>", f"{LATE}</body>")
    frame = f'<iframe srcdoc="{html.escape(text)}" style="border:0;width:{width}px;height:900px">'
    page = folder / "probe.html"
    page.write_text(f"<!doctype html><body style='margin:0'>{frame}</iframe>", encoding="utf-8")
    profile = folder / f"profile-{width}-{len(flags)}"
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
    command += ["--disable-component-update", f"--user-data-dir={profile}", *flags]
    command += ["--window-size=1500,1000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-500:]
    answer: dict[str, Any] = json.loads(html.unescape(found[1]))
    return answer


def test_the_page_loads_sorts_and_searches(chromium: str, make_run: Callable[..., Path]) -> None:
    seen = probe(chromium, make_run())
    assert seen["errors"] == []
    assert seen["requests"] == []
    up = [float(value) for value in seen["up"]]
    assert sorted(map(float, seen["before"])) == up
    assert up != [float(value) for value in seen["before"]]
    assert [float(value) for value in seen["down"]] == up[::-1]
    assert (seen["sortUp"], seen["sortDown"]) == ("ascending", "descending")
    known = [float(value) for value in seen["measured"] if value]
    assert len(known) >= 5
    assert known == sorted(known)
    assert seen["measured"][len(known) :] == [""] * (50 - len(known))  # nothing known stays last
    assert seen["archs"] != []
    assert (seen["found"], seen["said"], seen["all"]) == (1, "1 of 50", 50)


@pytest.mark.parametrize("width", [400, 700, 1400])
def test_nothing_is_wider_than_the_window(
    width: int, chromium: str, make_run: Callable[..., Path]
) -> None:
    seen = probe(chromium, make_run(), width)
    assert seen["width"] == width
    assert seen["scroll"] <= width
    assert seen["small"] == []
    assert seen["text"] > 7.5


def test_dark_is_dark(chromium: str, make_run: Callable[..., Path]) -> None:
    folder = make_run()
    light = probe(chromium, folder)
    dark = probe(chromium, folder, 1300, "--blink-settings=preferredColorScheme=0")

    def level(colour: str) -> float:
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    assert level(light["ground"]) > 200 > 100 > level(light["ink"])
    assert level(dark["ground"]) < 50 < 150 < level(dark["ink"])
