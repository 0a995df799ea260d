// The picture, its controls, and the buttons.

const LARGE_PIXELS = 1024;
const NO_PICTURE = "This link names no picture of this page.";
const WRONG_SEED = `A seed is a whole number from 0 to ${MOST_SEED}; two or four are mixed.`;
// Which generator draws this page's pictures: a copied link names it.
const OWN = `${data.name}@${data.iteration}`;
// The slider's unit; its last step means: no limit.
const TRUNCATION_STEP = 0.05;
const view = { picture: null, image: null, seen: [], place: -1, version: 0 };
const changed = []; // called with the picture when it has come to rest

// Says it in the enlarged view too, which hides the rest.
function say(text) {
  for (const id of ["said", "said-large"]) element(id).textContent = text;
}
const plain = (number) => Number(number.toFixed(4));

// Draws a picture as the large one; the newest call wins. Returns whether it was shown.
async function show(picture) {
  const version = ++view.version;
  view.picture = picture;
  showControls(picture);
  const isWanted = () => version === view.version;
  const images = await draw([picture], { isUrgent: true, isWanted });
  if (!images) return false;
  view.image = images[0];
  for (const id of ["picture", "large"]) paint(element(id), images[0]);
  element("picture").dataset.link = linkOf(picture);
  return true;
}

function paint(canvas, image) {
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function rest() {
  const link = linkOf(view.picture);
  if (location.hash !== link) history.replaceState(null, "", link);
  element("caption").textContent = captionOf(view.picture);
  element("picture").setAttribute("aria-label", `Generated picture, ${captionOf(view.picture)}`);
  changed.forEach((listener) => listener(view.picture));
}

function captionOf({ seeds, truncation, moves, classes, blend }) {
  let text = classes.length ? `${classesIn(classes, blend)}, ` : "";
  text += seeds.length > 1 ? `between seeds ${seeds.join(", ")}` : `seed ${seeds[0]}`;
  if (truncation !== null) text += `, truncated at ${truncation}`;
  if (moves.some(Boolean)) text += ", moved";
  return text;
}

function showControls(picture) {
  const { seeds, truncation, moves } = picture;
  showPlace(picture);
  showClasses(picture);
  if (document.activeElement !== element("seed")) element("seed").value = seeds.join(", ");
  moves.forEach((move, index) => {
    const text = (move > 0 ? "+" : "") + move.toFixed(1);
    setSlider(`move-${index}`, move, `${text} standard deviations`);
    write(`moved-${index}`, text);
  });
  const text = truncation === null ? "off" : String(truncation);
  const steps = truncation === null ? Infinity : Math.round(truncation / TRUNCATION_STEP);
  const slider = element("truncation");
  const spoken = truncation === null ? text : `at most ${text} standard deviations`;
  setSlider("truncation", Math.min(steps, slider.max), spoken);
  write("truncation-value", text);
}

// Sets a slider, and what is said of it: its number alone would mean little.
function setSlider(id, value, spoken) {
  const slider = element(id);
  slider.value = value;
  if (slider.ariaValueText !== spoken) slider.ariaValueText = spoken;
}

// Writes only what is new: this runs with every frame of a walk.
function write(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

// A new picture keeps the truncation and the class, and where one chose to mix, the number of corners.
function another() {
  stopWalk();
  const { seeds, at, moves, isLeg } = view.picture;
  const kept = { ...view.picture, moves: moves.map(() => 0), isLeg: false };
  return visit(
    isLeg
      ? { ...kept, seeds: [randomSeed()], at: [0, 0] }
      : { ...kept, seeds: seeds.map(randomSeed), at },
  );
}

async function copyLink() {
  const of = `${encodeURIComponent(data.name)}@${data.iteration}`;
  const own = `${linkOf(view.picture)}&of=${of}`;
  const link = location.href.split("#")[0] + own;
  try {
    await navigator.clipboard.writeText(link);
    say("Link copied. Pasted into Seed, it opens the picture.");
  } catch {
    // Where the clipboard is closed to pages, there may be an address bar or not.
    say(`Copy this link by hand: ${own}`);
  }
}

function save(side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(element("picture"), 0, 0, side, side);
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    const words = decodeURIComponent(linkOf(view.picture)).slice(1);
    const name = words.replace(/[^\p{L}\p{M}\p{N}.-]+/gu, "-");
    link.download = `${data.name}-${name}-${side}px.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    say(`Saved, ${side} x ${side} pixels.`);
  }, "image/png");
}

// Opens what was typed: seeds, or a link, for those who have no address bar.
function openTyped(text) {
  text = text.trim();
  const isLink = text.includes("=");
  const link = isLink
    ? text.slice(text.lastIndexOf("#") + 1)
    : `seed=${text.split(/\s*,\s*/)}`;
  const wanted = pictureOf(link);
  if (!wanted) {
    say(isLink ? NO_PICTURE : WRONG_SEED);
    element("seed").value = view.picture.seeds.join(", ");
    return;
  }
  stopWalk();
  if (isLink) {
    element("seed").value = wanted.seeds.join(", ");
    visitLink(link, wanted);
    return;
  }
  const { at, seeds, truncation, classes, blend } = view.picture;
  const isSame = wanted.seeds.length === seeds.length;
  visit({ ...wanted, truncation, classes, blend, at: isSame ? at : [0, 0] });
}

// A link to another generator's picture shows what this one makes of it.
async function visitLink(link, picture) {
  await visit(picture);
  const of = new URLSearchParams(link.replace(/^#/, "")).get("of");
  if (of !== null && of !== OWN) {
    say(`That link is of ${of}. This is ${OWN}: another picture.`);
  }
}

function openLink() {
  const picture = pictureOf(location.hash);
  if (picture && view.picture && linkOf(picture) === linkOf(view.picture)) return;
  stopWalk();
  if (picture) visitLink(location.hash, picture);
  else if (location.hash) {
    say(NO_PICTURE);
    rest(); // puts back the address of what is shown
  }
}

const actions = {
  n: another,
  w: () => toggleWalk(),
  e: () => element("enlarged").showModal(),
  s: () => save(data.imageSize),
  c: copyLink,
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
};

function listen() {
  const buttons = {
    another: "n", walk: "w", enlarge: "e", save: "s", copy: "c",
    back: "ArrowLeft", forward: "ArrowRight",
  };
  for (const [id, key] of Object.entries(buttons)) {
    element(id).addEventListener("click", () => actions[key]());
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // Text fields and lists need every key, sliders and choices only the arrows.
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const isArrow = key.startsWith("Arrow");
    if (event.target.matches(isArrow ? "input, select" : "input[type=text], select")) return;
    const action = actions[key];
    if (!action || (element("enlarged").open && key === "e")) return;
    event.preventDefault();
    action();
  });
  element("picture").addEventListener("click", actions.e);
  element("enlarged").addEventListener("click", () => element("enlarged").close());
  element("save-large").addEventListener("click", (event) => {
    event.stopPropagation();
    save(LARGE_PIXELS);
  });
  element("seed").addEventListener("change", (event) => openTyped(event.target.value));
  const slider = element("truncation");
  const own = (data.truncation ?? Infinity) / TRUNCATION_STEP; // the page's, in steps
  if (own < slider.min) slider.min = Math.max(1, Math.round(own));
  if (own >= slider.max && own < Infinity) slider.max = Math.ceil(own) + 1;
  const limit = () =>
    slider.value === slider.max ? null : plain(slider.value * TRUNCATION_STEP);
  slider.addEventListener("input", () => {
    stopWalk();
    show({ ...view.picture, truncation: limit() });
  });
  slider.addEventListener("change", () =>
    visit({ ...view.picture, truncation: limit() }, slider),
  );
  addEventListener("hashchange", openLink);
}

async function begin() {
  const link = location.hash; // before what is shown takes its place
  const isWrong = link && !pictureOf(link);
  const first = pictureOf(link) ?? {
    seeds: [data.seed], at: [0, 0], truncation: data.truncation,
    moves: data.directions.map(() => 0),
    classes: data.classes.length ? [data.label] : [], blend: 0,
  };
  try {
    say("Starting the generator");
    await startEngine();
    listen();
    listenToWalk();
    makeDirections();
    makeSquare();
    makeClasses();
    await visitLink(link, first);
    for (const control of document.querySelectorAll("main :disabled")) control.disabled = false;
    if (isWrong) say(NO_PICTURE);
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    say(`The generator could not be started (${error.message ?? error}). A current `
      + "Chrome, Edge, Firefox or Safari runs it.");
  }
}

begin();
