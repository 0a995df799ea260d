// The history of what was seen.

const MOST_SEEN = 100;
const ONE_MOVE_MILLISECONDS = 1000; // between the steps of a slider that count as one

// Shows a picture and takes it into the history, after the place where one stands, or in
// its place if the same slider has just led there.
async function visit(picture, slider = null) {
  say("");
  if (!(await show(picture))) return;
  const link = linkOf(picture);
  const last = view.seen[view.place];
  if (!last || linkOf(last.picture) !== link) {
    const time = performance.now();
    const isOneMove =
      slider && last?.slider === slider && time - last.time < ONE_MOVE_MILLISECONDS;
    view.seen.splice(isOneMove ? view.place : view.place + 1);
    view.seen.push({ picture, image: view.image, slider, time });
    if (view.seen.length > MOST_SEEN) view.seen.shift();
    view.place = view.seen.length - 1;
    showSeen();
  }
  rest();
}

// Steps through what was seen.
async function step(by) {
  const place = view.place + by;
  if (!view.seen[place]) return;
  stopWalk();
  say("");
  view.place = place;
  showSeen();
  if (await show(view.seen[place].picture)) rest();
}

function showSeen() {
  const shown = view.seen.map(({ image }, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(thumbnailOf(image));
    button.setAttribute("aria-label", `Picture ${place + 1} of ${view.seen.length}`);
    if (place === view.place) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => step(place - view.place));
    return button;
  });
  const hadFocus = document.activeElement.matches("#seen button");
  element("seen").replaceChildren(...shown);
  const current = shown[view.place];
  if (hadFocus) current.focus({ preventScroll: true });
  // Not scrollIntoView, which would move the page too.
  element("seen").scrollLeft = current.offsetLeft - element("seen").clientWidth / 2;
  // Not `disabled`, which would take the focus away from the one just pressed.
  element("back").ariaDisabled = view.place <= 0;
  element("forward").ariaDisabled = view.place >= view.seen.length - 1;
}

function thumbnailOf(image) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = image.width;
  paint(canvas, image);
  return canvas;
}
