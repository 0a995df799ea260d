// The class of a picture, or a mix of two: a list of names, and a field to find one.

const NO_SECOND = -1;

function makeClasses() {
  if (!data.classes.length) return;
  for (const [id, index] of [["class", 0], ["class-2", 1]]) {
    element(id).addEventListener("change", (event) => setClass(index, Number(event.target.value)));
  }
  element("find")?.addEventListener("keydown", (event) => {
    if (event.key === "Enter") findClass(event.target.value);
  });
  const slider = element("blend");
  const blended = () => ({ ...view.picture, blend: Number(slider.value) });
  slider.addEventListener("input", () => {
    stopWalk();
    show(blended());
  });
  slider.addEventListener("change", () => visit(blended(), slider));
}

function setClass(index, label) {
  stopWalk();
  const classes = [...view.picture.classes];
  classes[index] = label;
  const isMixed = classes.length > 1 && classes[1] !== NO_SECOND;
  const blend = !isMixed ? 0 : view.picture.classes.length > 1 ? view.picture.blend : 0.5;
  visit({ ...view.picture, classes: isMixed ? classes : classes.slice(0, 1), blend });
}

let lastWanted = "";

// Goes to the class of this name, then to the next one with this text in its name, and
// from the last to the first.
function findClass(text) {
  const wanted = text.trim().toLowerCase();
  const found = [...data.classes.keys()].filter((label) =>
    data.classes[label].toLowerCase().includes(wanted),
  );
  if (!wanted || !found.length) {
    say(wanted ? `No class has ${text.trim()} in its name.` : "");
    return;
  }
  const exact = found.find((label) => data.classes[label].toLowerCase() === wanted);
  const place = found.findIndex((label) => label > view.picture.classes[0]);
  const isNamed = exact !== undefined && wanted !== lastWanted;
  const label = isNamed ? exact : found[Math.max(place, 0)];
  lastWanted = wanted;
  setClass(0, label);
  say(`${data.classes[label]}: ${found.indexOf(label) + 1} of ${found.length} found.`);
}

function classesIn(classes, blend) {
  const names = classes.map((label) => data.classes[label]);
  if (names.length === 1) return names[0];
  const share = Math.round(100 * blend);
  return `${100 - share} % ${names[0]}, ${share} % ${names[1]}`;
}

function showClasses({ classes, blend }) {
  if (!classes.length) return;
  const isMixed = classes.length > 1;
  element("class").value = classes[0];
  element("class-2").value = isMixed ? classes[1] : NO_SECOND;
  element("blending").hidden = !isMixed;
  if (!isMixed) return;
  setSlider("blend", blend, `${Math.round(100 * blend)} % ${data.classes[classes[1]]}`);
  write("blended", `${Math.round(100 * blend)} %`);
}
