// The grid viewer: the slider, the keys, playback, and following one image.

const element = (id) => document.getElementById(id);
const data = JSON.parse(element("data").textContent);
const iterations = data.iterations;
const numCells = data.columns * data.rows;
const words = (number) => number.toLocaleString("en-US");
const gridPath = (index, kind) => {
  const name = "grid-" + String(iterations[index]).padStart(7, "0");
  const small = "thumbnails/" + name + ".webp";
  // A page that was made to be shared holds its pictures, most as thumbnails alone.
  if (data.files) return (kind === "full" && data.files[name + ".png"]) || data.files[small];
  return kind === "full" ? name + ".png" : small;
};

// index: of the grid; cell: of the followed image in it, or null.
const view = { index: iterations.length - 1, cell: null, isPlaying: false };
const listeners = [];
const tell = () => listeners.forEach((listener) => listener());

// Pictures stay decoded for a while, so that going back and forth does not flicker.
const KEPT_PICTURES = 48;
// The full grid is fetched once the slider rests; until then its thumbnail is shown.
const REST_MILLISECONDS = 140;
const pictures = new Map();

function picture(path) {
  let found = pictures.get(path);
  pictures.delete(path);
  if (!found) {
    const image = new Image();
    image.src = path;
    found = image.decode().then(() => image);
  }
  pictures.set(path, found);
  if (pictures.size > KEPT_PICTURES) pictures.delete(pictures.keys().next().value);
  return found;
}

let paintings = 0;
let shownIndex = view.index;

async function paint() {
  const mine = ++paintings;
  const index = view.index;
  for (const kind of ["small", "full"]) {
    // Thumbnails are enough for playback, and while the slider moves.
    if (kind === "full") {
      await new Promise((done) => setTimeout(done, REST_MILLISECONDS));
      if (view.isPlaying) return;
    }
    if (mine !== paintings) return;
    const isBetter = index !== shownIndex || kind === "full" || view.cell !== null;
    if (!isBetter) continue;
    try {
      const image = await picture(gridPath(index, kind));
      if (mine !== paintings) return;
      shownIndex = index;
      show(image);
    } catch {
      // The thumbnail is missing or broken, but the grid itself may be there.
    }
  }
}

function show(image) {
  element("grid").src = image.src;
  if (view.cell === null) return;
  const canvas = element("cell");
  const side = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
  const width = image.naturalWidth / data.columns;
  const height = image.naturalHeight / data.rows;
  canvas.width = side;
  canvas.height = Math.round((side * height) / width);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  const left = (view.cell % data.columns) * width;
  const top = Math.floor(view.cell / data.columns) * height;
  context.drawImage(image, left, top, width, height, 0, 0, canvas.width, canvas.height);
}

function label() {
  const iteration = words(iterations[view.index]);
  const what = view.cell === null ? "" : `image ${view.cell + 1}, `;
  element("caption").textContent = `${what}iteration ${iteration}`;
  element("iteration").textContent = iteration;
  element("slider").value = view.index;
  element("slider").setAttribute("aria-valuetext", `iteration ${iteration}`);
  element("grid").alt = `${numCells} generated images at iteration ${iteration}`;
  element("cell").setAttribute(
    "aria-label", `Generated image ${(view.cell ?? 0) + 1} at iteration ${iteration}`);
}

function moveTo(index) {
  const within = Math.max(0, Math.min(iterations.length - 1, index));
  if (within === view.index) return Promise.resolve();
  view.index = within;
  label();
  tell();
  return paint();
}

function nearestGrid(iteration) {
  let best = 0;
  iterations.forEach((at, index) => {
    if (Math.abs(at - iteration) < Math.abs(iterations[best] - iteration)) best = index;
  });
  return best;
}

// --- play

// Playback rests at its end before it begins anew.
const END_MILLISECONDS = 1200;
let plays = 0;

function setPlaying(isPlaying) {
  view.isPlaying = isPlaying;
  element("play").textContent = isPlaying ? "Pause" : "Play";
  // A paused playback ends, even if another has started since.
  const mine = ++plays;
  if (isPlaying) play(() => mine === plays);
  else paint();
}

async function play(goesOn) {
  while (goesOn()) {
    if (view.index < iterations.length - 1) {
      await frame(view.index + 1, goesOn);
    } else {
      await new Promise((done) => setTimeout(done, END_MILLISECONDS));
      await frame(0, goesOn);
    }
  }
}

async function frame(index, goesOn) {
  const milliseconds = 1000 / Number(element("speed").value);
  const waited = new Promise((done) => setTimeout(done, milliseconds));
  for (let ahead = 1; ahead <= 3 && index + ahead < iterations.length; ahead++) {
    picture(gridPath(index + ahead, "small")).catch(() => {});
  }
  const decoded = picture(gridPath(index, "small")).catch(() => {});
  await Promise.all([waited, decoded]);
  if (goesOn()) moveTo(index);
}

// --- follow one image

let chosenCell = 0;
let isChosenByKey = false;

function follow(cell, byKey) {
  view.cell = cell;
  chosenCell = cell;
  isChosenByKey = byKey;
  element("cells").hidden = true;
  element("cell").hidden = false;
  element("hint").hidden = true;
  label();
  tell();
  paint();
  element("slider").focus({ preventScroll: true });
  element("film").scrollIntoView({ block: "nearest" });
}

function unfollow() {
  if (view.cell === null) return;
  view.cell = null;
  element("cell").hidden = true;
  element("cells").hidden = false;
  element("hint").hidden = false;
  label();
  tell();
  paint();
  const cell = element("cells").children[chosenCell];
  (isChosenByKey ? cell : element("slider")).focus({ preventScroll: true });
}

function makeCells() {
  const cells = element("cells");
  cells.style.gridTemplate =
    `repeat(${data.rows}, 1fr) / repeat(${data.columns}, 1fr)`;
  for (let cell = 0; cell < numCells; cell++) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `Follow image ${cell + 1}`);
    // A single Tab stop; arrow keys move between the images.
    button.tabIndex = cell ? -1 : 0;
    button.addEventListener("click", (event) => follow(cell, event.detail === 0));
    cells.append(button);
  }
  cells.addEventListener("keydown", moveCell);
}

function moveCell(event) {
  const cells = [...element("cells").children];
  const from = cells.indexOf(document.activeElement);
  const steps = {
    ArrowLeft: -1, ArrowRight: 1, ArrowUp: -data.columns, ArrowDown: data.columns,
    Home: -from, End: numCells - 1 - from,
  };
  if (from < 0 || !(event.key in steps)) return;
  event.preventDefault();
  event.stopPropagation();
  const next = cells[from + steps[event.key]];
  if (!next) return;
  cells[from].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

// --- keys, links, marks

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") return unfollow();
  const target = event.target;
  const isSlider = target === element("slider");
  if (event.key === " " && (isSlider || target === document.body)) {
    event.preventDefault();
    return setPlaying(!view.isPlaying);
  }
  // Elsewhere arrow keys have other uses: in lists, tables, the config.
  if (!isSlider && target !== document.body) return;
  const steps = {
    ArrowLeft: view.index - 1, ArrowRight: view.index + 1,
    Home: 0, End: iterations.length - 1,
  };
  if (!(event.key in steps)) return;
  event.preventDefault();
  moveTo(steps[event.key]);
}

function onLink(event) {
  const link = event.target.closest("[data-iteration]");
  if (link) moveTo(nearestGrid(Number(link.dataset.iteration)));
}

function drawTicks() {
  // The slider counts grids, not iterations: marks lie between their grids.
  const last = iterations.length - 1;
  const place = (iteration) => {
    const next = iterations.findIndex((at) => at >= iteration);
    if (next <= 0) return next === 0 ? 0 : last;
    const before = iterations[next - 1];
    return next - 1 + (iteration - before) / (iterations[next] - before);
  };
  const marks = data.spikes.x.map((x) => `M${(place(x) / last).toFixed(4)} 0v1`);
  if (last > 0) element("ticks").setAttribute("d", marks.join(""));
}

function showControls() {
  // A single grid has no course to play, but that of a run in training may have soon.
  const isShort = iterations.length < 2;
  const awaitsMore = data.live?.state === "training";
  element("controls").hidden = false;
  element("transport").hidden = isShort && !awaitsMore;
  element("keys").hidden = isShort;
  for (const id of ["play", "slider", "speed"]) element(id).disabled = isShort;
}

if (iterations.length) {
  element("slider").max = iterations.length - 1;
  makeCells();
  drawTicks();
  label();
  element("cells").hidden = false;
  showControls();
  element("slider").addEventListener("input", (event) => {
    if (view.isPlaying) setPlaying(false);
    moveTo(Number(event.target.value));
  });
  element("play").addEventListener("click", () => setPlaying(!view.isPlaying));
  element("back").addEventListener("click", unfollow);
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onLink);
  window.addEventListener("resize", () => view.cell !== null && paint());
}
