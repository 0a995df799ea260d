// The charts. Plotly is a file beside the runs; without it the rest of the page works.

const MARGIN = { l: 52, r: 10, t: 8, b: 28 };
// More than this are drawn small and faint, or they would hide the curves.
const FEW_SPIKES = 60;
const FLAT = 0.02;  // of the largest value, that a curve changes by
const PRINTED = { width: 330, height: 200 };
// By title: { chart, plot, isDrawn }. A later chart of the same title takes its place.
const figures = new Map();
let isPrinting = false;
const isTouch = matchMedia("(pointer: coarse)").matches;

const lastOf = (list) => list[list.length - 1] ?? 0;
const lastIteration = () => Math.max(
  1, lastOf(iterations), lastOf(data.spikes.x),
  ...data.charts.flatMap((chart) => chart.curves.map((curve) => lastOf(curve.x))));

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function traces(curve, isMetric) {
  const isFloor = curve.role === "floor";
  // The floor of a single measurement is a line all the same.
  if (isFloor && curve.x.length === 1) {
    curve = { ...curve, x: [0, lastIteration()], y: [curve.y[0], curve.y[0]] };
  }
  const role = { metric: "other", floor: "quiet" }[curve.role] ?? curve.role;
  const line = { color: colour(role), width: isMetric ? 2 : 1.25 };
  const shared = { type: "scatter", yaxis: "y2" };
  const made = [{
    ...shared, x: curve.x, y: curve.y, name: curve.name, hovertemplate: "%{y:.4~g}",
    mode: isFloor || !(isMetric || curve.x.length < 2) ? "lines" : "lines+markers",
    line: { ...line, dash: isFloor ? "dash" : "solid" }, marker: { size: isMetric ? 5 : 6 },
    cliponaxis: !isMetric,
    opacity: curve.trend ? 0.35 : 1,
  }];
  if (curve.trend) {
    made.push({ ...shared, ...curve.trend, name: "trend", mode: "lines", hoverinfo: "skip",
                line: { ...line, width: 2 } });
  }
  return made;
}

function spikeTraces() {
  // One trace with gaps for all spikes, on an axis beneath the curves.
  const { x, text } = data.spikes;
  const isCrowd = x.length > FEW_SPIKES;
  return [
    {
      type: "scatter", name: "spike", mode: "lines", hoverinfo: "skip",
      x: x.flatMap((at) => [at, at, null]), y: x.flatMap(() => [0, 1, null]),
      line: { color: colour("spike"), width: 1 }, opacity: isCrowd ? 0.2 : 0.6,
    },
    {
      type: "scatter", name: "spike", mode: "markers", x, y: x.map(() => 1), text,
      marker: { color: colour("spike"), symbol: "triangle-down", size: isCrowd ? 4 : 8,
                line: { width: 0 } },
      hovertemplate: "%{text}<extra></extra>", cliponaxis: false,
    },
  ];
}

function yAxis(chart, showsAll) {
  const axis = {
    gridcolor: colour("line"), zeroline: false, fixedrange: true, nticks: 5,
    tickmode: "auto",
    tickfont: { size: 11 }, exponentformat: "power",
  };
  if (chart.is_log) return { ...axis, type: "log", dtick: logStep(chart), tickformat: "~g" };
  if (chart.range && !showsAll) return { ...axis, range: chart.range };
  // Ticks that differ in the fifth digit fit nowhere.
  const ys = chart.curves.flatMap((curve) => curve.y);
  const [lowest, highest] = extent(ys);
  const isFlat = lowest > 0 && highest - lowest < FLAT * highest;
  return isFlat ? { ...axis, range: [lowest - 4 * FLAT * highest, highest + FLAT * highest] } : axis;
}

function extent(values) {
  return values.reduce(([a, b], y) => [Math.min(a, y), Math.max(b, y)], [Infinity, 0]);
}

function logStep(chart) {
  const ys = chart.curves.flatMap((curve) => curve.y.filter((y) => y > 0));
  const [lowest, highest] = extent(ys);
  return Math.max(1, Math.ceil(Math.log10(highest / lowest) / 5)) || 1;
}

function layout(chart, showsAll) {
  return {
    ...(isPrinting ? PRINTED : { autosize: true }),
    uirevision: "kept",  // what a person has zoomed to stays when the run goes on
    margin: MARGIN, showlegend: false, hovermode: "x unified", dragmode: isTouch ? false : "zoom",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("quiet") },
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"),
                  font: { color: colour("ink"), size: 12 } },
    xaxis: { range: [0, lastIteration()], gridcolor: "rgba(0,0,0,0)", zeroline: false,
             nticks: 6, tickformat: ",~s", hoverformat: ",d", fixedrange: isTouch,
             linecolor: colour("line"), showline: true, tickfont: { size: 11 } },
    yaxis: { range: [0, 1], visible: false, fixedrange: true },
    yaxis2: { ...yAxis(chart, showsAll), overlaying: "y", side: "left" },
  };
}

function make(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

function makeFigure(chart) {
  const plot = make("div", "plot");
  plot.id = `plot-${figures.size}`;
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", `Chart: ${chart.title}`);
  const button = make("button", "extremes", "Show extremes");
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  const head = make("div", "row", make("h3", "", chart.title), button);
  const legend = make("div", "legend");
  const figure = make("figure", "chart", make("figcaption", "", head, legend), plot);
  element("charts").append(figure);
  return { plot, legend, button, isDrawn: false };
}

function labelFigure(figure) {
  const { chart, legend, button } = figure;
  const curves = chart.curves.length < 2 ? [] : chart.curves.map(
    (curve) => make("span", "", make("b", `role-${curve.role}`), curve.name));
  legend.replaceChildren(...curves, chart.note);
  button.style.visibility = chart.range ? "" : "hidden";
}

function placeFigures() {
  // New charts come last, so that none moves.
  for (const chart of data.charts) {
    const isNew = !figures.has(chart.title);
    if (isNew) figures.set(chart.title, makeFigure(chart));
    const figure = figures.get(chart.title);
    figure.chart = chart;
    labelFigure(figure);
    if (isNew) watcher.observe(figure.plot);
    else if (figure.isDrawn) drawChart(figure);
  }
}

function drawChart(figure) {
  const { chart, plot, button } = figure;
  const showsAll = button.getAttribute("aria-pressed") === "true";
  const isMetric = chart.curves[0].role === "metric";
  const curves = chart.curves.flatMap((curve) => traces(curve, isMetric));
  const all = data.spikes.x.length ? [...spikeTraces(), ...curves] : curves;
  Plotly.react(plot, all, layout(chart, showsAll), { displayModeBar: false, responsive: true });
  if (figure.isDrawn) return placeNow(plot);
  figure.isDrawn = true;
  const now = document.createElement("div");
  now.className = "now";
  plot.append(now);
  plot.on("plotly_click", (event) => moveTo(nearestGrid(event.points[0].x)));
  plot.on("plotly_afterplot", () => placeNow(plot));
  placeNow(plot);
}

function placeNow(plot) {
  // A line over the chart: moving it redraws nothing.
  const now = plot.querySelector(".now");
  if (!now || !iterations.length) return;
  const [from, to] = plot.layout.xaxis.range;
  const share = (iterations[view.index] - from) / (to - from);
  const width = plot.clientWidth - MARGIN.l - MARGIN.r;
  now.hidden = share < 0 || share > 1;
  now.style.top = `${MARGIN.t}px`;
  now.style.bottom = `${MARGIN.b}px`;
  now.style.transform = `translateX(${MARGIN.l + share * width}px)`;
}

// Each chart is drawn when it nears the viewport.
const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    watcher.unobserve(target);
    drawChart([...figures.values()].find((figure) => figure.plot === target));
  }
}, { rootMargin: "300px" });

const drawnFigures = () => [...figures.values()].filter((figure) => figure.isDrawn);

function redraw(all = drawnFigures()) {
  for (const figure of all) drawChart(figure);
}

function setPrinting(isNow) {
  // All are drawn, as wide as the paper's columns, in the colours of paper.
  isPrinting = isNow;
  for (const image of document.images) image.loading = "eager";
  document.documentElement.classList.toggle("printing", isNow);
  redraw(isNow ? [...figures.values()] : undefined);
}

function watchCharts() {
  const hasTrend = data.charts.some((chart) => chart.curves.some((curve) => curve.trend));
  element("charts-note").textContent =
    "Click a chart to move the grids to that iteration."
    + (isTouch ? "" : " Drag to zoom, double-click to return.")
    + (data.spikes.x.length ? " Red lines are spikes." : "")
    + (hasTrend ? " Strong lines are medians of the faint ones." : "");
  placeFigures();
  listeners.push(() => drawnFigures().forEach(({ plot }) => placeNow(plot)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  window.addEventListener("beforeprint", () => setPrinting(true));
  window.addEventListener("afterprint", () => setPrinting(false));
  element("charts").addEventListener("click", toggleExtremes);
}

function toggleExtremes(event) {
  const button = event.target.closest(".extremes");
  if (!button) return;
  const isPressed = button.getAttribute("aria-pressed") === "true";
  button.setAttribute("aria-pressed", String(!isPressed));
  drawChart([...figures.values()].find((figure) => figure.button === button));
}

function takeCharts() {
  if (window.Plotly && figures.size) placeFigures();
}

function loadCharts() {
  if (window.Plotly) return watchCharts();
  const script = document.createElement("script");
  script.src = data.plotly;
  script.onload = watchCharts;
  script.onerror = () => {
    element("charts").hidden = true;
    element("charts-note").textContent =
      `The charts cannot be shown: ${data.plotly} is missing beside the runs' folders.`;
  };
  document.head.append(script);
}

// After the first paint, so that pictures never wait for five megabytes of script; the
// room for the charts is there from the start.
if (data.charts.length) requestAnimationFrame(() => setTimeout(loadCharts, 0));
