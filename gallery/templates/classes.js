// The sheets of classes: all rows at an iteration, or one class through training.

const MOST_ROWS = 24; // of one class; each needs a picture of its own
let shownRows = "";

const smallSheet = (iteration) => {
  const name = `thumbnails/classes-${String(iteration).padStart(7, "0")}.webp`;
  return data.files ? data.files[name] : name;
};
const rowsOf = (place) => data.sheets.kinds[data.sheets.kind_of[place]];

// The places of the sheets to show: of one class, some of those that have it, newest
// first; else the one nearest to the grid that is shown.
function shownSheets(name) {
  const { iterations: all } = data.sheets;
  const has = (place) => smallSheet(all[place]) && (!name || rowOf(place, name) >= 0);
  const places = [...all.keys()].filter(has);
  if (!name) {
    const now = iterations[view.index] ?? all.at(-1);
    const far = (place) => Math.abs(all[place] - now);
    return places.length ? [places.reduce((a, b) => (far(b) <= far(a) ? b : a))] : [];
  }
  const count = Math.min(places.length, MOST_ROWS);
  const step = (places.length - 1) / Math.max(count - 1, 1);
  return Array.from({ length: count }, (_, i) => places[Math.round(i * step)]).reverse();
}

const rowOf = (place, name) => rowsOf(place).findIndex(([one]) => one === name);

function makeRow(place, row, isOfOne) {
  const iteration = data.sheets.iterations[place];
  const [name, count] = rowsOf(place)[row];
  const item = document.createElement("li");
  const said = document.createElement(isOfOne ? "a" : "span");
  if (isOfOne) {
    said.href = "#viewer";
    said.dataset.iteration = iteration;
    said.textContent = words(iteration);
  } else {
    const small = document.createElement("small");
    small.textContent = words(count);
    const named = document.createElement("bdi");
    named.textContent = name;
    said.append(named, " ", small);
  }
  const strip = document.createElement("i");
  const rows = rowsOf(place).length;
  strip.style.backgroundImage = `url("${smallSheet(iteration)}")`;
  strip.style.backgroundSize = `100% ${100 * rows}%`;
  strip.style.backgroundPosition = `0 ${rows > 1 ? (100 * row) / (rows - 1) : 0}%`;
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", `${name} at iteration ${words(iteration)}`);
  item.append(said, strip);
  return item;
}

async function showClasses() {
  const name = element("one-class").value;
  const places = shownSheets(name);
  const key = JSON.stringify([name, places.map((place) => data.sheets.iterations[place])]);
  if (key === shownRows || !places.length) return;
  shownRows = key;
  // Decoded before it takes the other's place, which would flicker.
  if (!name) await picture(smallSheet(data.sheets.iterations[places[0]])).catch(() => {});
  if (key !== shownRows) return;
  const made = name
    ? places.map((place) => makeRow(place, rowOf(place, name), true))
    : rowsOf(places[0]).map((_, row) => makeRow(places[0], row, false));
  element("class-rows").replaceChildren(...made);
  element("class-caption").textContent = name
    ? "through training, newest first"
    : `iteration ${words(data.sheets.iterations[places[0]])}`;
}

if (data.sheets) {
  element("one-class").addEventListener("change", showClasses);
  element("class-choice").hidden = false;
  listeners.push(showClasses);
  showClasses();
}
