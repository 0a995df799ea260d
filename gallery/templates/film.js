// The film strip: the followed image in every grid. Only visible frames exist.

const FRAME_PIXELS = 80;
const FRAME_PITCH = 88;
const frames = new Map();
let wasInSight = true;

function makeFrame(index) {
  const button = document.createElement("button");
  button.type = "button";
  // Keyboards use the slider to move through time.
  button.tabIndex = -1;
  button.style.left = `${index * FRAME_PITCH + 4}px`;
  const still = document.createElement("i");
  still.style.backgroundImage = `url("${gridPath(index, "small")}")`;
  still.style.backgroundSize = `${data.columns * 100}% ${data.rows * 100}%`;
  button.append(still, words(iterations[index]));
  button.setAttribute("aria-label", `Iteration ${words(iterations[index])}`);
  button.addEventListener("click", () => moveTo(index));
  return button;
}

function drawFilm() {
  const reel = element("reel");
  wasInSight = isInSight(view.index);
  const first = Math.max(0, Math.floor(reel.scrollLeft / FRAME_PITCH) - 2);
  const inSight = Math.ceil(reel.clientWidth / FRAME_PITCH) + 4;
  const last = Math.min(iterations.length - 1, first + inSight);
  for (const [index, button] of frames) {
    if (index < first || index > last) {
      button.remove();
      frames.delete(index);
    }
  }
  const column = view.cell % data.columns;
  const row = Math.floor(view.cell / data.columns);
  for (let index = first; index <= last; index++) {
    if (!frames.has(index)) {
      frames.set(index, makeFrame(index));
      reel.firstElementChild.append(frames.get(index));
    }
    const button = frames.get(index);
    // The whole grid is the background, shifted so that the image is in the frame.
    button.firstElementChild.style.backgroundPosition =
      `${-column * FRAME_PIXELS}px ${-row * FRAME_PIXELS}px`;
    if (index === view.index) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

function isInSight(index) {
  const reel = element("reel");
  const left = index * FRAME_PITCH;
  return left >= reel.scrollLeft && left + FRAME_PITCH <= reel.scrollLeft + reel.clientWidth;
}

function keepInSight() {
  if (isInSight(view.index)) return;
  const reel = element("reel");
  const left = view.index * FRAME_PITCH;
  reel.scrollLeft = left - (reel.clientWidth - FRAME_PITCH) / 2;
}

let filmAsked = false;

function drawFilmSoon() {
  if (filmAsked) return;
  filmAsked = true;
  requestAnimationFrame(() => {
    filmAsked = false;
    if (view.cell !== null) drawFilm();
  });
}

listeners.push(() => {
  element("film").hidden = view.cell === null;
  if (view.cell === null) return;
  element("film-title").textContent = `Image ${view.cell + 1} through training`;
  keepInSight();
  drawFilm();
});

function resizeFilm() {
  element("reel").firstElementChild.style.width = `${iterations.length * FRAME_PITCH}px`;
}

function forgetFrames() {
  frames.forEach((button) => button.remove());
  frames.clear();
}

if (iterations.length) {
  resizeFilm();
  element("reel").addEventListener("scroll", drawFilmSoon);
  window.addEventListener("resize", () => {
    if (view.cell !== null && wasInSight) keepInSight();
    drawFilmSoon();
  });
}
