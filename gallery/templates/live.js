// A run in training: its page takes up what is new, and moves nothing else.

const ASK_MILLISECONDS = 5000;
// A run that was stopped may be continued while its page is open.
const ASK_SELDOM_MILLISECONDS = 20000;
let live = data.live;
let askedAt = 0;

function setText(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

function showLive() {
  const { now, text, asks } = standing(live);
  element("live").dataset.now = now;
  setText("live-text", text);
  setText("live-command", live.command ?? "");
  element("live-command").hidden = !asks;
  setText("done", words(live.iteration));
  element("progress").value = Math.min(1, live.iteration / live.total_iterations);
}

window.takeLive = (told) => {
  live = told;
  showLive();
  if (live.written > data.written) ask("page-data.js");
};

window.takeData = (told) => {
  if (told.written <= data.written) return;
  if (!iterations.length && told.iterations.length) return location.reload();
  const isLatest = view.index === iterations.length - 1;
  const shown = iterations[view.index];
  const isLonger = iterations.every((at, index) => told.iterations[index] === at);
  if (!isLonger) {  // after a rollback, or a start anew
    pictures.clear();
    forgetFrames();
    shownRows = "";
  }
  iterations.splice(0, iterations.length, ...told.iterations);
  Object.assign(data, { spikes: told.spikes, charts: told.charts, written: told.written });
  if (data.sheets && told.sheets) data.sheets = told.sheets;
  data.plotly ??= told.plotly;
  takeGrids(isLatest && !view.isPlaying, shown, isLonger);
  takeCharts();
  element("live-reload").hidden = false;
};

function takeGrids(goesAlong, shown, isLonger) {
  if (!iterations.length) return;
  // A strip that somebody has moved elsewhere stays there.
  const kept = isInSight(iterations.indexOf(shown)) ? null : element("reel").scrollLeft;
  element("slider").max = iterations.length - 1;
  view.index = goesAlong ? iterations.length - 1 : nearestGrid(shown);
  showControls();
  drawTicks();
  resizeFilm();
  label();
  tell();
  if (kept !== null) element("reel").scrollLeft = kept;
  if (goesAlong || !isLonger) paint();
}

function askIfDue() {
  const isBusy = standing(live).now === "training";
  const wait = isBusy ? ASK_MILLISECONDS : ASK_SELDOM_MILLISECONDS;
  showLive();  // silence grows while nothing answers
  if (document.hidden || Date.now() - askedAt < wait - 500) return;
  askedAt = Date.now();
  ask("live.js");
}

if (live) {
  askIfDue();
  setInterval(askIfDue, ASK_MILLISECONDS);
  document.addEventListener("visibilitychange", askIfDue);
  element("live-reload").addEventListener("click", (event) => {
    event.preventDefault();
    location.reload();
  });
}
