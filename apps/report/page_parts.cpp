#include "apps/report/page_parts.h"

namespace dlcm::apps {

// Colours by pairs that people with any colour vision tell apart, as far as eight can be; dashes differ too.
// Contrast to the paper is at least 4.5.
const char kReportStyle[] =
    R"(:root { color-scheme: light dark; --ink: #1b1b1b; --soft: #595959; --rule: #dcdcdc; --paper: #ffffff;
  --a: #d9e8f7; --b: #fbeaca; --edge: #767676;
  --c0: #0067a5; --c1: #b8460a; --c2: #00755a; --c3: #9b3f8f; --c4: #7a5f00; --c5: #4b4b4b; --c6: #a3154b; --c7: #1f6f8b; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececec; --soft: #b0b0b0; --rule: #3a3a3a; --paper: #171717;
  --a: #1d3d59; --b: #56400f; --edge: #8c8c8c;
  --c0: #6cb8f0; --c1: #ff9a5c; --c2: #45cfa8; --c3: #e7a3dd; --c4: #e3c44f; --c5: #c9c9c9; --c6: #ff93b0; --c7: #8fdcf0; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 0.8rem; max-width: 110rem; }
h1 { font-size: 1.3rem; margin: 0.3rem 0 0.8rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.8rem 0 0.6rem; }
h4 { font-size: 0.95rem; margin: 0.8rem 0 0.2rem; overflow-wrap: anywhere; } h4 small { font-weight: normal; color: var(--soft); }
p { max-width: 60rem; overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: 0.85rem; margin: 0.2rem 0; }
:focus-visible { outline: 2px solid var(--c0); outline-offset: 1px; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: separate; border-spacing: 0; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.6rem; text-align: right; border-bottom: 1px solid var(--rule); overflow-wrap: break-word; min-width: 5.5rem; max-width: 16rem; }
td { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; } .wrap td { white-space: normal; overflow-wrap: anywhere; }
tbody th { text-align: left; font-weight: normal; color: var(--soft); position: sticky; left: 0; background: var(--paper); min-width: 7rem; max-width: 9.5rem; }
thead th { vertical-align: bottom; } label { cursor: pointer; }
.charts { margin-top: 0.8rem; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1.4rem 1.2rem; }
figure { margin: 0; min-width: 0; }
.unit { color: var(--soft); }
.legend { list-style: none; display: flex; flex-wrap: wrap; align-items: center; align-content: start; gap: 0 0.9rem; margin: 0.1rem 0; padding: 0; font-size: 0.82rem; }
.legend li { display: flex; align-items: center; gap: 0.3rem; min-width: 0; max-width: 100%; }
.when { color: var(--soft); min-width: 5.4rem; font-variant-numeric: tabular-nums; }
.legend span { min-width: 0; overflow-wrap: anywhere; line-height: 1.25; }
.legend b { font-weight: 600; font-variant-numeric: tabular-nums; min-width: 2.6rem; white-space: nowrap; flex: none; }
.key { width: 30px; height: 8px; flex: none; vertical-align: middle; }
.chart { display: block; width: 100%; height: auto; font: 13px system-ui, sans-serif; touch-action: pan-y; }
.chart text { fill: var(--soft); } .chart .x { text-anchor: middle; } .chart .y, text.reference { text-anchor: end; } text.reference.left { text-anchor: start; }
.axes path { stroke: var(--soft); fill: none; } .axes .grid { stroke: var(--rule); }
path.line, path.raw { fill: none; stroke: currentColor; stroke-linejoin: round; }
path.line { stroke-width: 1.8; } path.raw { stroke-width: 0.8; opacity: 0.3; stroke-dasharray: none; }
circle { fill: currentColor; }
path.reference { stroke: var(--soft); fill: none; stroke-dasharray: 1 3; stroke-width: 1.5; } text.reference { font-size: 11.5px; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
path.cursor { stroke: var(--ink); stroke-width: 1; fill: none; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); } .c6 { color: var(--c6); } .c7 { color: var(--c7); }
.d1 { stroke-dasharray: 7 3; } .d2 { stroke-dasharray: 2 2.5; } .d3 { stroke-dasharray: 9 3 2 3; } .d4 { stroke-dasharray: 14 4; }
circle { stroke-dasharray: none; }
.chooser { display: flex; align-items: center; gap: 0.5rem; margin: 0.5rem 0; max-width: 40rem; }
.chooser input { flex: 1; min-width: 0; accent-color: var(--c0); height: 2rem; } .chooser output { min-width: 6.5rem; font-variant-numeric: tabular-nums; }
.chooser button { font: inherit; width: 2.2rem; height: 2rem; }
.shelf, .shelf.rows > div { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 0 2rem; }
.shelf.rows { display: block; } .shelf > div { display: contents; }
summary { cursor: pointer; padding: 0.2rem 0; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 1rem; line-height: 1.75; max-width: 60rem; }
.text i { font-style: normal; unicode-bidi: isolate; padding: 0.1em 0; border-inline-start: 1px solid var(--edge); background: var(--a); }
.text i:nth-child(even) { background: var(--b); }
.text i:hover, .text i.told { outline: 2px solid var(--c0); }
.told-p { position: sticky; bottom: 0; background: var(--paper); border-top: 1px solid var(--rule); padding: 0.2rem 0; } .told-p:empty { display: none; }
@media (min-width: 40rem) { tbody th { max-width: 20rem; } }
@media (min-width: 60rem) { .charts { grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); } }
@media print { .chooser, .told-p { display: none; } }
)";

const char kReportScript[] = R"js("use strict";
// What a curve is at a step: its number; where it has no point, that of the nearest, with its step; a dash in gaps and
// before its first and after its last point.
function reading(texts, steps, at) {
  if (texts[at]) return texts[at];
  let before = at, after = at;
  while (before >= 0 && !texts[before]) --before;
  while (after < steps.length && !texts[after]) ++after;
  if (before < 0 || after === steps.length) return "\u2013";
  const nearest = steps[at] - steps[before] <= steps[after] - steps[at] ? before : after;
  return texts[nearest] === "\u2013" ? "\u2013" : `${texts[nearest]} (step ${steps[nearest].toLocaleString("en")})`;
}
// A line across the chart, moved by pointer and arrow keys from step to step; the legend then has the curves' numbers
// there.
function readable(chart) {
  const [left, top, width, height] = chart.dataset.frame.split(" ").map(Number);
  const last = Number(chart.dataset.last), steps = chart.dataset.steps.split(" ").map(Number);
  const legend = chart.closest("figure").querySelector(".legend");
  const when = legend.querySelector(".when"), values = [...legend.querySelectorAll("b")];
  const latest = values.map((value) => value.textContent);
  const lines = [...chart.querySelectorAll("path.line")];
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
  cursor.setAttribute("class", "cursor");
  let curves = null, at = null;
  // Those of the curves that are shown, as places in `steps`.
  function stops() {
    curves = curves || lines.map((line) => line.dataset.readings.split(";"));
    const visible = curves.filter((texts, i) => !lines[i].hasAttribute("hidden"));
    return [...steps.keys()].filter((i) => visible.some((texts) => texts[i]));
  }
  function show(i) {
    at = i;
    const x = left + width * steps[at] / last;
    cursor.setAttribute("d", `M${x} ${top}v${height}`);
    chart.append(cursor);
    when.textContent = `step ${steps[at].toLocaleString("en")}`;
    curves.forEach((texts, j) => { values[j].textContent = reading(texts, steps, at); });
    // What is below does not jump as texts become shorter.
    legend.style.minHeight = `${legend.offsetHeight}px`;
  }
  function hide() {
    at = null;
    cursor.remove();
    when.textContent = "latest";
    values.forEach((value, i) => { value.textContent = latest[i]; });
    legend.style.minHeight = "";
  }
  chart.tabIndex = 0;
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const step = ((event.clientX - box.left) / box.width * chart.viewBox.baseVal.width - left) / width * last;
    const near = stops();
    if (near.length) show(near.reduce((best, i) => Math.abs(steps[i] - step) < Math.abs(steps[best] - step) ? i : best));
  });
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const near = stops(), end = near.length - 1, stride = Math.ceil(near.length / 50);
    const here = at === null ? end : Math.max(near.findIndex((i) => i >= at), 0);
    const moves = {ArrowLeft: here - stride, ArrowRight: here + stride, Home: 0, End: end};
    if (event.key === "Escape") hide();
    if (!(event.key in moves) || end < 0) return;
    event.preventDefault();
    show(near[Math.min(Math.max(moves[event.key], 0), end)]);
  });
}
function made(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
function isShown(run) {
  const box = document.querySelector(`input[data-run="${run}"]`);
  return !box || box.checked;
}
// A sample as the page without a script has it; how it is written is in samples_view.h.
function section(data, series, sample) {
  const [step, text, ...parts] = sample, characters = [...data.texts[text]];
  const marked = made("div", "", {class: "text", dir: "auto"});
  let begin = 0, tokens = 0;
  for (let i = 0; i < parts.length; i += 3) {
    const [length, count, p] = parts.slice(i, i + 3);
    const title = `p ${p < 0 ? "\u2013" : (p / 1000).toFixed(3)}, ${count} token${count === 1 ? "" : "s"}`;
    if (length) marked.append(made("i", characters.slice(begin, begin + length).join(""), {title}));
    begin += length;
    tokens += count;
  }
  const name = [data.runs[series.run], series.domain].filter((part) => part).join(", ") || "held-out text";
  const heading = made("h4", ""), count = parts.length / 3;
  heading.append(made("bdi", name), " ", made("small",
    `step ${step.toLocaleString("en")}: ${count} concepts, ${(tokens / Math.max(count, 1)).toFixed(2)} tokens in each`));
  const whole = made("section", "", {class: "run" + series.run});
  whole.hidden = !isShown(series.run);
  whole.append(heading, marked);
  return whole;
}
// The samples of one step at a time, of runs without an evaluation there those of their last one before.
function chooser(samples) {
  const data = JSON.parse(samples.querySelector("script").textContent);
  const steps = [...new Set(data.series.flatMap((series) => series.samples.map((sample) => sample[0])))].sort((a, b) => a - b);
  const shelf = samples.querySelector(".shelf"), box = made("div", "", {class: "chooser"});
  const slider = made("input", "", {type: "range", "aria-label": "Evaluation", min: 0, max: steps.length - 1, value: steps.length - 1});
  const name = made("output", "");
  // p for those who cannot hover.
  const told = made("div", "", {class: "told-p note", "aria-live": "polite"});
  const show = (i) => {
    slider.value = i;
    const step = steps[slider.value];
    const rows = new Map(data.series.map((series) => [series.domain, made("div", "")]));
    for (const series of data.series) {
      const sample = series.samples.findLast((one) => one[0] <= step);
      if (sample) rows.get(series.domain).append(section(data, series, sample));
    }
    shelf.replaceChildren(...rows.values());
    told.textContent = "";
    name.textContent = `Step ${step.toLocaleString("en")}`;
    slider.setAttribute("aria-valuetext", name.textContent);
  };
  const button = (text, label, move) => {
    const one = made("button", text, {"aria-label": label});
    one.addEventListener("click", () => show(Number(slider.value) + move));
    return one;
  };
  slider.addEventListener("input", () => show(slider.value));
  box.append(button("\u2039", "Evaluation before", -1), slider, button("\u203a", "Next evaluation", 1), name);
  samples.prepend(box);
  samples.append(told);
  show(steps.length - 1);
  samples.addEventListener("click", (event) => {
    const chosen = event.target.closest(".text i");
    samples.querySelectorAll("i.told").forEach((other) => other.classList.remove("told"));
    if (chosen) chosen.classList.add("told");
    // Isolated: the text's direction ends with it.
    told.textContent = chosen ? `\u201c\u2068${chosen.textContent.trim()}\u2069\u201d: ${chosen.title}` : "";
  });
}
document.querySelectorAll("svg.chart").forEach(readable);
document.querySelectorAll(".samples").forEach(chooser);
document.querySelectorAll("input[data-run]").forEach((box) => {
  box.hidden = false;
  box.addEventListener("change", () => {
    document.querySelectorAll(".run" + box.dataset.run).forEach((part) => part.toggleAttribute("hidden", !box.checked));
  });
});
)js";

}  // namespace dlcm::apps
