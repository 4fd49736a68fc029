"""Opens pages of `report` in a browser and checks what a reader sees.

    python report_page.py RUN_DIR...      (pip install playwright; Debian's chromium-headless-shell)

Pages: each run alone, all of them together, and made-up runs with what is hard to draw (100,000 steps, numbers that are
not finite, one step, no configuration, names with markup, ten runs). In a narrow and a wide window, by light and by
dark: nothing is loaded and nothing complains, the page is not wider than the window, each chart has its curves inside
the frame and labels that do not cover each other, colours have contrast, and slider, pointer, keys and boxes do what
they are for. Exits with 1 and names what does not hold.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
BROWSER = "/usr/bin/chromium-headless-shell"
WINDOWS = [(360, 800), (1600, 1000)]
SMALLEST_TEXT = 9.5  # pixels
LEAST_CONTRAST = 4.5  # WCAG 2.1, success criterion 1.4.3

# What is wrong with the charts, as a list of sentences.
CHART_CHECKS = """() => {
  const wrong = [];
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 &&
                            Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
  const charts = [...document.querySelectorAll("svg.chart")];
  if (charts.length === 0) wrong.push("there is no chart");
  for (const chart of charts) {
    const title = chart.closest("figure").querySelector("figcaption").textContent;
    const say = (text) => wrong.push(`${title}: ${text}`);
    const [left, top, width, height] = chart.dataset.frame.split(" ").map(Number);
    const lines = [...chart.querySelectorAll("path.line")];
    if (lines.length === 0) say("no curve");
    let points = 0;
    for (const path of chart.querySelectorAll("path.line, path.raw")) {
      const data = path.getAttribute("d");
      if (data.replace(/[ML][-0-9.]+ [-0-9.]+/g, "") !== "") say("a path of other than numbers: " + data.slice(0, 60));
      for (const [, x, y] of data.matchAll(/[ML]([-0-9.]+) ([-0-9.]+)/g)) {
        ++points;
        const inside = x >= left - 0.1 && x <= left + width + 0.1 && y >= top - 0.1 && y <= top + height + 0.1;
        if (!inside) { say(`a point at ${x} ${y} is outside the frame`); break; }
      }
    }
    if (points === 0) say("its curves have no point");
    for (const line of lines) {
      if (getComputedStyle(line).stroke === "none") say("an invisible curve");
    }
    const box = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([name, a], i) => {
      if (a.left < box.left - 1 || a.right > box.right + 1 || a.top < box.top - 1 || a.bottom > box.bottom + 1) say(`'${name}' leaves the picture`);
      for (const [other, b] of texts.slice(i + 1)) if (overlap(a, b)) say(`'${name}' and '${other}' overlap`);
    });
    const pixels = parseFloat(getComputedStyle(chart.querySelector("text")).fontSize) * box.width / chart.viewBox.baseVal.width;
    if (pixels < SMALLEST_TEXT) say(`its text is ${pixels} pixels high`);
    const names = chart.closest("figure").querySelectorAll(".legend li").length;
    if (names !== lines.length) say(`${names} names for ${lines.length} curves`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  if (new Set(ids).size !== ids.length) wrong.push("an id is there twice");
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map(Number).map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  const contrast = (colour, ground) => (Math.max(luminance(colour), ground) + 0.05) / (Math.min(luminance(colour), ground) + 0.05);
  for (const element of document.querySelectorAll("path.line, .note, p, th, td, h1, .legend span")) {
    const ratio = contrast(getComputedStyle(element).color, paper);
    if (ratio < LEAST_CONTRAST) wrong.push(`${element.outerHTML.slice(0, 60)}: contrast ${ratio}`);
  }
  for (const element of document.querySelectorAll(".text i")) {
    const style = getComputedStyle(element);
    if (contrast(style.color, luminance(style.backgroundColor)) < LEAST_CONTRAST) { wrong.push("a concept's text has little contrast"); break; }
  }
  if (document.scrollingElement.scrollWidth > innerWidth) wrong.push(`${document.scrollingElement.scrollWidth} pixels wide in a window of ${innerWidth}`);
  return wrong;
}""".replace("SMALLEST_TEXT", str(SMALLEST_TEXT)).replace("LEAST_CONTRAST", str(LEAST_CONTRAST))


def write_run(folder, lines, samples=()):
    folder.mkdir(parents=True)
    for name, objects in (("metrics.jsonl", lines), ("samples.jsonl", samples)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in objects))


def step_line(step, shift=0.0, **changes):
    wave = math.sin(step * 0.37 + shift)
    line = {"step": step, "tokens_seen": step * 4096, "loss": 2 + shift + 9 / step**0.5 + 0.1 * wave, "aux_loss": 0.1 * wave,
            "boundary_rate": 0.25 + 0.05 * wave, "boundary_mean": 0.26, "tokens_per_concept": 4 + wave, "gradient_norm": 10.0 ** wave,
            "rate_token": 3e-3, "rate_concept": 1.5e-3, "rate_other": 3e-3, "rate_boundary": 1e-5, "alpha": 0.5 * 0.999**step,
            "tokens_per_second": 123456.0, "matrix_share": 0.5, "loader_wait": 0.0, "peak_bytes": 123456789}
    return line | changes


def evaluation_line(step, shift, domains):
    line = {"step": step, "heldout_loss": 2 + shift + 9 / step**0.5, "heldout_bits_per_byte": 2.5, "heldout_tokens_per_concept": 4.0,
            "heldout_boundary_rate": 0.25}
    for i, domain in enumerate(domains):
        line |= {f"heldout_bits_per_byte/{domain}": 2.5 + 0.1 * i, f"heldout_tokens_per_concept/{domain}": 3.5 + 0.4 * i}
    return line


def hard_runs(folder):
    """Pages by name: the arguments of `report`."""
    domains = ["code", "a very long name of a domain, with <b>markup</b> & \"quotes\"", "english"]
    sample = {"domain": "code", "concepts": ["</script><script>alert(1)</script>", " ", "\n\n", "x" * 200], "tokens": [9, 1, 1, 200], "p": [1.0, 0.5, 0.75, 0.9]}
    long = []
    for step in range(1, 100_001):
        long.append(step_line(step, loss=None if step % 1000 < 3 else 2 + 9 / step**0.5))
        if step % 1000 == 0:
            long.append(evaluation_line(step, 0, domains))
    samples = [{"step": step} | sample for step in range(1000, 100_001, 1000)]
    write_run(folder / "long <run> & \"all\"", long, samples)
    write_run(folder / "one", [step_line(1)])
    write_run(folder / "nothing finite", [{"step": step, "loss": None, "gradient_norm": 1.0} for step in range(1, 9)])
    for i in range(10):
        lines = [step_line(step, 0.1 * i) for step in range(1, 400)] + [evaluation_line(400, 0.1 * i, domains)]
        write_run(folder / f"a run with a rather long name, the number {i}", lines, [{"step": 400} | sample])
    pages = {"long": ["long <run> & \"all\""], "one step": ["one"], "not finite": ["nothing finite"]}
    pages["ten runs"] = [f"a run with a rather long name, the number {i}" for i in range(10)]
    return {name: [str(folder / run) for run in runs] for name, runs in pages.items()}


class Checks:
    """Everything found wrong, with the page and the window."""

    def __init__(self):
        self.wrong, self.done = [], 0

    def expect(self, holds, place, text):
        self.done += 1
        if not holds:
            self.wrong.append(f"{place}: {text}")


def check_use(page, checks, place):
    """Pointer, keys, slider and boxes."""
    chart = page.locator("svg.chart").first
    chart.scroll_into_view_if_needed()
    unit = page.locator("figure:has(svg.chart) .unit").first
    chart.hover(position={"x": 120, "y": 60})
    checks.expect("at step" in unit.text_content(), place, "the pointer reads nothing off a chart")
    there = unit.text_content()
    page.mouse.move(0, 0)
    checks.expect("at step" not in unit.text_content(), place, "what was read off stays")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    checks.expect("at step" in unit.text_content() and unit.text_content() != there, place, "keys read nothing off a chart")
    page.keyboard.press("Escape")

    slider = page.locator(".chooser input")
    if slider.count():
        views = page.locator("details.step:visible")
        checks.expect(views.count() == 1, place, "not one evaluation is shown")
        last = views.locator(".text").first.text_content(), page.locator(".chooser output").text_content()
        slider.focus()
        page.keyboard.press("Home")
        first = views.locator(".text").first.text_content(), page.locator(".chooser output").text_content()
        several = page.locator("details.step").count() > 1
        checks.expect(views.count() == 1 and (first[1] != last[1]) == several, place, "the slider shows no other evaluation")
        concept = views.locator(".text i").first
        checks.expect((concept.get_attribute("title") or "").startswith("p "), place, "a concept has no p")
        concept.click()
        checks.expect("p " in page.locator(".told-p").text_content(), place, "a click tells no p")
        page.locator(".chooser button").last.click()
        if several:
            checks.expect(page.locator(".chooser output").text_content() != first[1], place, "the button shows no other evaluation")

    box = page.locator("input[data-run='0']")
    if box.count():
        curves = page.locator("path.line.run0:visible")
        before = curves.count()
        box.uncheck()
        checks.expect(before > 0 and curves.count() == 0, place, "a run is not hidden")
        box.check()
        checks.expect(curves.count() == before, place, "a run does not come back")


def check_page(browser, name, path, checks, screenshots):
    for width, height in WINDOWS:
        for scheme in ("light", "dark"):
            place = f"{name}, {width} x {height}, {scheme}"
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            said, loaded = [], []
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
            page.on("request", lambda request: loaded.append(request.url))
            page.goto(path.as_uri())
            wrong = page.evaluate(CHART_CHECKS)
            checks.expect(not wrong, place, "; ".join(wrong))
            if screenshots:
                page.screenshot(path=screenshots / f"{path.stem}-{width}-{scheme}.png", full_page=True)
            if scheme == "light":
                check_use(page, checks, place)
            checks.expect(not said, place, f"the browser says {said}")
            checks.expect(loaded == [path.as_uri()], place, f"the page loads {loaded[1:]}")
            context.close()
    # Without scripts everything is there too.
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    checks.expect(page.locator("svg.chart path.line").count() > 0, name, "no curve without scripts")
    views = page.locator("details.step")
    checks.expect(views.count() == 0 or views.last.locator(".text").first.is_visible(), name, "no samples without scripts")
    context.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="+", help="folders that train has written")
    parser.add_argument("--screenshots", type=pathlib.Path, help="a folder for a picture of each page")
    arguments = parser.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder = pathlib.Path(folder)
        pages = hard_runs(folder / "runs") | {f"run {i}": [run] for i, run in enumerate(arguments.run)}
        if len(arguments.run) > 1:
            pages["all runs"] = arguments.run
        browser = playwright.chromium.launch(executable_path=BROWSER)
        for name, runs in pages.items():
            path = folder / f"{name.replace(' ', '-')}.html"
            subprocess.run([ROOT / "build/apps/report", "--output", path, *runs], check=True, stderr=subprocess.DEVNULL)
            check_page(browser, name, path, checks, arguments.screenshots)
        browser.close()
    print(*checks.wrong, sep="\n", end="\n" if checks.wrong else "")
    print(f"{len(pages)} pages, {checks.done} checks, {len(checks.wrong)} failed")
    sys.exit(1 if checks.wrong else 0)


if __name__ == "__main__":
    main()
