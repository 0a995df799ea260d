// Walking from seed to seed.

const LEG_SECONDS = 3;
const walking = { isOn: false };

// Begins slowly and ends slowly, without a jerk.
const eased = (t) => t - Math.sin(2 * Math.PI * t) / (2 * Math.PI);

function listenToWalk() {
  document.addEventListener("visibilitychange", () => document.hidden && stopWalk());
}

function toggleWalk() {
  if (walking.isOn) {
    stopWalk();
    visit(view.picture);
  } else {
    walk();
  }
}

function stopWalk() {
  walking.isOn = false;
  element("walk").setAttribute("aria-pressed", "false");
}

// Walks from where it is to its nearest corner, and on from seed to seed until stopped.
async function walk() {
  walking.isOn = true;
  element("walk").setAttribute("aria-pressed", "true");
  const { seeds, at } = view.picture;
  const corner = at.map(Math.round);
  if (seeds.length > 1 && !(await walkLeg({ ...view.picture }, at, corner))) return;
  let seed = seeds[seeds.length > 1 ? corner[0] + 2 * corner[1] : 0];
  for (;;) {
    const next = randomSeed();
    const leg = { ...view.picture, seeds: [seed, next] };
    if (!(await walkLeg(leg, [0, 0], [1, 0]))) return;
    seed = next;
    await visit({ ...leg, seeds: [seed], at: [0, 0] });
    if (!walking.isOn) return;
  }
}

// Returns whether the end was reached.
async function walkLeg(picture, from, to) {
  const distance = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const start = performance.now();
  for (let done = 0; done < 1; ) {
    await new Promise(requestAnimationFrame);
    if (!walking.isOn) return false;
    done = distance ? (performance.now() - start) / 1000 / (LEG_SECONDS * distance) : 1;
    const part = eased(Math.min(Math.max(done, 0), 1));
    const at = from.map((one, axis) => plain(one + (to[axis] - one) * part));
    if (!(await show({ ...picture, at })) && !walking.isOn) return false;
  }
  return true;
}
