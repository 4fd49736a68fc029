"""Opens pages of `report` in a browser and checks what a reader sees.

    python report_page.py RUN_DIR...      (pip install playwright; Debian's chromium-headless-shell)

Pages: each run alone, all of them together, and made-up runs with what is hard to draw (100,000 steps, numbers that are
not finite or have 300 digits, one step, no configuration, names with markup, ten runs). In narrow and wide windows, by
light and by dark: nothing is loaded and nothing complains, the page is not wider than the window, each chart has its
curves inside the frame and labels that do not cover each other, colours have contrast, and slider, pointer, keys and
boxes do what they are for; the pointer reads off the runs' own numbers. Exits with 1 and names what does not hold.
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
WINDOWS = [(360, 800), (700, 900), (1400, 1000)]
COLUMNS = {360: 1, 700: 2, 1400: 3}  # of charts
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
    const names = chart.closest("figure").querySelectorAll(".legend li:not(.when)").length;
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
    samples = [{"step": step} | sample | {"p": [1.0, 0.5, 0.75, step / 100_000]} for step in range(1000, 100_001, 1000)]
    write_run(folder / "long <run> & \"all\"", long, samples)
    write_run(folder / "one", [step_line(1)])
    write_run(folder / "huge", [step_line(step, loss=1e300 / step, aux_loss=-4.6e19 * step, gradient_norm=1e300, peak_bytes=2**62) for step in range(1, 40)])
    write_run(folder / "nothing finite", [{"step": step, "loss": None, "gradient_norm": 1.0} for step in range(1, 9)])
    for i in range(10):
        lines = [step_line(step, 0.1 * i) for step in range(1, 400)] + [evaluation_line(400, 0.1 * i, domains)]
        write_run(folder / f"a run with a rather long name, the number {i}", lines, [{"step": 400} | sample])
    pages = {"long": ["long <run> & \"all\""], "one step": ["one"], "huge": ["huge"], "not finite": ["nothing finite"]}
    pages["ten runs"] = [f"a run with a rather long name, the number {i}" for i in range(10)]
    return {name: [str(folder / run) for run in runs] for name, runs in pages.items()}


def sample_of(step):
    """Right-to-left text, parted at another place at each step, with a number, whose direction is weak."""
    text = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd 12 \u05d0\u05d1\u05d2!"
    first = 1 + step // 10 % 8
    return {"step": step, "domain": "code", "concepts": [text[:first], text[first:-5], text[-5:]], "tokens": [1, 2, 3], "p": [1.0, 0.5, None]}


def readable_runs(folder):
    """Two runs, one of them shorter, with evaluations at other steps, a gap and a beginning that the axis cuts."""
    whole, short = [], []
    for step in range(1, 1001):
        whole.append(step_line(step, loss=2 + 9 / step**0.5, rate_token=None if 400 <= step <= 450 else step * 1e-6))
        if step <= 500:
            short.append(step_line(step, loss=3 + 9 / step**0.5, rate_token=0.002))
        if step % 100 == 0:
            whole.append(evaluation_line(step, 0, []) | {"heldout_loss": 2 + step / 1000})
        if step == 333:
            short.append(evaluation_line(step, 0, []) | {"heldout_loss": 2.125})
    write_run(folder / "whole", whole, [sample_of(step) for step in range(10, 1001, 10)])
    write_run(folder / "short", short, [sample_of(333)])
    return [str(folder / "whole"), str(folder / "short")]


def read_off(page, title, step):
    """What the legend says with the pointer at a step: of when, and the two runs' numbers."""
    figure = page.locator("figure", has=page.locator("figcaption b", has_text=title))
    chart = figure.locator("svg.chart")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    left, _, width, _ = (float(part) for part in chart.get_attribute("data-frame").split())
    page.mouse.move(0, 0)
    page.mouse.move(box["x"] + (left + width * step / float(chart.get_attribute("data-last"))) * box["width"] / 400, box["y"] + box["height"] / 2)
    return [figure.locator(".when").text_content(), *figure.locator(".legend b").all_text_contents()]


def check_samples(page, checks, place):
    """Every evaluation of every run is there, as its file has it."""
    slider, seen = page.locator(".chooser input"), {}
    for i in range(int(slider.get_attribute("max")) + 1):
        slider.fill(str(i))
        for section in page.locator(".shelf section").all():
            texts = section.locator(".text i").all_text_contents()
            seen[section.locator("h4").text_content()] = "|".join(texts)
    expected = {f"whole, code step {step:,}: 3 concepts, 2.00 tokens in each": sample_of(step) for step in range(10, 1001, 10)}
    expected["short, code step 333: 3 concepts, 2.00 tokens in each"] = sample_of(333)
    expected = {heading: "|".join(sample["concepts"]) for heading, sample in expected.items()}
    checks.expect(seen == expected, place, f"samples differ: {len(seen)} of {len(expected)}")
    # The letters of right-to-left text run from right to left, its concepts too, and none lies in another.
    boxes = [concept.bounding_box() for concept in page.locator(".shelf .text i").all()[:3]]
    checks.expect(all(a["x"] >= b["x"] + b["width"] - 1 for a, b in zip(boxes, boxes[1:])), place, f"concepts from right to left lie at {boxes}")


def check_readings(page, checks, place):
    """The numbers are those of readable_runs."""
    dash = "\u2013"
    means = [f"{shift + sum(9 / i**0.5 for i in range(1, of + 1)) / of:.4g}" for shift, of in ((2, 3), (3, 2))]
    for title, step, expected in (
        ("Loss: training", 1, ["step 1", *means]),  # beyond the axis
        ("Loss: held-out", 0, ["step 100", "2.1", dash]),  # before the other's first
        ("Loss: held-out", 310, ["step 300", "2.3", dash]),
        ("Loss: held-out", 333, ["step 333", "2.3 (step 300)", "2.125"]),
        ("Loss: held-out", 800, ["step 800", "2.8", dash]),  # after its last
        ("Loss: held-out", 1020, ["step 1,000", "3", dash]),
        ("Learning rates: token", 424, ["step 424", dash, "2"]),  # a gap
        ("Learning rates: token", 600, ["step 600", "0.6", dash]),
    ):
        found = read_off(page, title, step)
        checks.expect(found == expected, place, f"{title} at {step}: {found}, not {expected}")
    page.mouse.move(0, 0)
    checks.expect(page.locator("figure .when").all_text_contents().count("latest") == page.locator("figure").count(), place, "what was read off stays")
    page.locator("input[data-run='0']").uncheck()
    checks.expect(read_off(page, "Loss: held-out", 800)[0] == "step 333", place, "the pointer stops at steps of a hidden run")
    page.locator("input[data-run='0']").check()


def samples_shown(page):
    return [(section.locator("h4").text_content(), section.locator(".text").inner_html()) for section in page.locator(".shelf section").all()]


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
    when = page.locator("figure:has(svg.chart) .when").first
    place_before = chart.bounding_box()
    chart.hover(position={"x": 120, "y": 60})
    there = when.text_content()
    checks.expect(there.startswith("step "), place, "the pointer reads nothing off a chart")
    checks.expect(chart.bounding_box() == place_before, place, "a chart moves below the pointer")
    page.mouse.move(0, 0)
    checks.expect(when.text_content() == "latest", place, "what was read off stays")
    chart.focus()
    several_steps = " " in chart.get_attribute("data-steps")
    page.keyboard.press("End")
    last = when.text_content()
    page.keyboard.press("ArrowLeft")
    checks.expect(last.startswith("step ") and (when.text_content() != last) == several_steps, place, "keys read nothing off a chart")
    page.keyboard.press("ArrowRight")
    checks.expect(when.text_content() == last, place, "a key does not come back")
    page.keyboard.press("Escape")

    slider = page.locator(".chooser input")
    if slider.count():
        shelf, chosen = page.locator(".shelf"), page.locator(".chooser output")
        last = shelf.text_content(), chosen.text_content()
        slider.focus()
        page.keyboard.press("Home")
        first = shelf.text_content(), chosen.text_content()
        several = int(slider.get_attribute("max")) > 0
        checks.expect((first[1] != last[1]) == several and (first[0] != last[0]) == several, place, "the slider shows no other evaluation")
        concept = shelf.locator(".text i").first
        checks.expect((concept.get_attribute("title") or "").startswith("p "), place, "a concept has no p")
        concept.click()
        checks.expect("p " in page.locator(".told-p").text_content(), place, "a click tells no p")
        page.locator(".chooser button").last.click()
        if several:
            checks.expect(chosen.text_content() != first[1], place, "the button shows no other evaluation")

    box = page.locator("input[data-run='0']")
    if box.count():
        curves = page.locator("path.line.run0:visible")
        before = curves.count()
        box.uncheck()
        checks.expect(before > 0 and curves.count() == 0, place, "a run is not hidden")
        box.check()
        checks.expect(curves.count() == before, place, "a run does not come back")


def check_page(browser, name, path, checks, screenshots):
    samples = []
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
            figures = [box["x"] for box in (figure.bounding_box() for figure in page.locator("figure").all())]
            checks.expect(len(set(figures)) == min(COLUMNS[width], len(figures)), place, f"{len(set(figures))} columns of charts")
            if screenshots:
                page.screenshot(path=screenshots / f"{path.stem}-{width}-{scheme}.png", full_page=True)
            samples.append(samples_shown(page))
            if scheme == "light":
                check_use(page, checks, place)
                if name == "readings":
                    check_readings(page, checks, place)
                    check_samples(page, checks, place)
            checks.expect(not said, place, f"the browser says {said}")
            checks.expect(loaded == [path.as_uri()], place, f"the page loads {loaded[1:]}")
            context.close()
    # Without scripts everything is there too.
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    checks.expect(page.locator("svg.chart path.line").count() > 0, name, "no curve without scripts")
    views = page.locator(".shelf .text")
    checks.expect(views.count() == 0 or views.first.is_visible(), name, "no samples without scripts")
    samples.append(samples_shown(page))
    checks.expect(all(shown == samples[0] for shown in samples), name, "the last samples differ without scripts")
    context.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="+", help="folders that train has written")
    parser.add_argument("--screenshots", type=pathlib.Path, help="a folder for a picture of each page")
    arguments = parser.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder = pathlib.Path(folder)
        pages = hard_runs(folder / "runs") | {"readings": readable_runs(folder / "readable")} | {f"run {i}": [run] for i, run in enumerate(arguments.run)}
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
