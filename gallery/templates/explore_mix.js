// Mixing on a square, and the directions with their strips.

const STRIP_MOVES = [-3, -2, -1, 0, 1, 2, 3];
const SQUARE_CELLS = 5;

// ---- The square.

function makeSquare() {
  for (const radio of document.querySelectorAll("[name=corners]")) {
    radio.addEventListener("change", () => setCorners(Number(radio.value)));
  }
  element("others").addEventListener("click", () => {
    const seeds = square.seeds.map((seed, index) => (index ? randomSeed() : seed));
    stopWalk();
    visit({ ...view.picture, seeds, isLeg: false });
  });
  for (const id of ["across", "down"]) {
    element(id).addEventListener("input", () => {
      stopWalk();
      show(mixedAt(slidersPlace()));
    });
    element(id).addEventListener("change", () => visit(mixedAt(slidersPlace()), element(id)));
  }
  const pad = element("pad");
  const isDragging = (event) => pad.hasPointerCapture(event.pointerId);
  const follow = (event) => isDragging(event) && show(mixedAt(placeOf(event)));
  pad.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    stopWalk();
    pad.setPointerCapture(event.pointerId);
    follow(event);
  });
  pad.addEventListener("pointermove", follow);
  pad.addEventListener("pointerup", (event) => {
    if (isDragging(event)) visit(mixedAt(placeOf(event)));
  });
  pad.addEventListener("pointercancel", () => visit(view.picture));
  changed.push(showSquare);
}

function setCorners(count) {
  stopWalk();
  const seeds = view.picture.seeds.slice(0, count);
  while (seeds.length < count) seeds.push(randomSeed());
  const at = count > 1 ? [0.5, count > 2 ? 0.5 : 0] : [0, 0];
  visit({ ...view.picture, seeds, at, isLeg: false });
}

const slidersPlace = () => [Number(element("across").value), Number(element("down").value)];

// Mixes what the square shows: a walk may be elsewhere.
function mixedAt([x, y]) {
  const at = [plain(x), square.seeds.length === 4 ? plain(y) : 0];
  return { ...view.picture, seeds: square.seeds, at, isLeg: false };
}

// The middles of the outer cells are the corners.
function placeOf(event) {
  const box = element("pad").getBoundingClientRect();
  const cell = box.width / SQUARE_CELLS;
  const along = (value, from, length) =>
    Math.min(1, Math.max(0, (value - from - cell / 2) / Math.max(length - cell, 1)));
  return [along(event.clientX, box.left, box.width), along(event.clientY, box.top, box.height)];
}

const square = { seeds: [], key: "" };

// While walking it stays as it is, else what is below would jump.
async function showSquare(picture) {
  if (walking.current) return;
  const { seeds, truncation, moves, classes, blend } = picture;
  square.seeds = seeds;
  const isMixed = seeds.length > 1;
  const rows = seeds.length === 4 ? SQUARE_CELLS : 1;
  for (const radio of document.querySelectorAll("[name=corners]")) {
    radio.checked = Number(radio.value) === seeds.length;
  }
  element("mixing").hidden = !isMixed;
  element("down-label").hidden = rows === 1;
  showPlace(picture);
  const key = JSON.stringify([seeds, truncation, moves, classes, blend]);
  if (!isMixed || key === square.key) return;
  square.key = key;
  const canvas = element("square");
  canvas.width = SQUARE_CELLS * data.imageSize;
  canvas.height = rows * data.imageSize;
  const isWanted = () => key === square.key;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < SQUARE_CELLS; column++) {
      const last = SQUARE_CELLS - 1;
      const cell = { ...picture, at: [column / last, row / last] };
      const images = await draw([cell], { isWanted });
      if (!images) return;
      const [x, y] = [column * data.imageSize, row * data.imageSize];
      canvas.getContext("2d").putImageData(images[0], x, y);
    }
  }
}

function showPlace({ seeds, at: [x, y] }) {
  if (seeds.join() !== square.seeds.join()) return; // a walk has left the square
  const rows = seeds.length === 4 ? SQUARE_CELLS : 1;
  setSlider("across", x, `${Math.round(100 * x)} % to the right`);
  setSlider("down", y, `${Math.round(100 * y)} % down`);
  const handle = element("handle").style;
  handle.left = `${(100 * (x * (SQUARE_CELLS - 1) + 0.5)) / SQUARE_CELLS}%`;
  handle.top = `${(100 * (y * (rows - 1) + 0.5)) / rows}%`;
}

// ---- The directions.

function makeDirections() {
  data.directions.forEach((_, index) => {
    const slider = element(`move-${index}`);
    const moved = (value) => {
      const moves = view.picture.moves.slice();
      moves[index] = value;
      return { ...view.picture, moves };
    };
    slider.addEventListener("input", () => {
      stopWalk();
      show(moved(Number(slider.value)));
    });
    slider.addEventListener("change", () => visit(moved(Number(slider.value)), slider));
    // Not "click", which a short touch does not always bring; one that scrolls the page
    // ends in "pointercancel".
    element(`strip-${index}`).addEventListener("pointerup", (event) => {
      const part = event.offsetX / event.target.clientWidth;
      const cell = Math.min(STRIP_MOVES.length - 1, Math.floor(part * STRIP_MOVES.length));
      stopWalk();
      visit(moved(STRIP_MOVES[cell]));
    });
  });
  element("level")?.addEventListener("click", () => {
    stopWalk();
    visit({ ...view.picture, moves: view.picture.moves.map(() => 0) });
  });
  changed.push(showStrips);
}

let stripsKey = "";
async function showStrips(picture) {
  const key = linkOf(picture);
  if (key === stripsKey || walking.current) return;
  stripsKey = key;
  const isWanted = () => key === stripsKey;
  for (const index of picture.moves.keys()) {
    const context = element(`strip-${index}`).getContext("2d");
    for (const [cell, move] of STRIP_MOVES.entries()) {
      const moves = picture.moves.with(index, move);
      const images = await draw([{ ...picture, moves }], { isWanted });
      if (!images) return;
      context.putImageData(images[0], cell * data.imageSize, 0);
    }
  }
}
