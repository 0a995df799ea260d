// Walking from seed to seed.

// Each walk is an object of its own: one that was stopped never goes on with the next.
const walking = { current: null, legSeconds: 3 };

// Begins slowly and ends slowly, without a jerk.
const eased = (t) => t - Math.sin(2 * Math.PI * t) / (2 * Math.PI);

function listenToWalk() {
  document.addEventListener("visibilitychange", () => document.hidden && rested());
}

function toggleWalk() {
  if (!rested()) walk();
}

// Stops a walk where it is, with an address. Returns whether there was one.
function rested() {
  if (!walking.current) return false;
  stopWalk();
  visit(view.picture);
  return true;
}

// For those who show another picture at once.
function stopWalk() {
  walking.current = null;
  element("walk").setAttribute("aria-pressed", "false");
}

// Walks from where it is to its nearest corner, and on from seed to seed until stopped.
async function walk() {
  const token = (walking.current = {});
  element("walk").setAttribute("aria-pressed", "true");
  const { seeds, at } = view.picture;
  const corner = at.map(Math.round);
  if (seeds.length > 1 && !(await walkLeg(token, view.picture, at, corner))) return;
  let seed = seeds[seeds.length > 1 ? corner[0] + 2 * corner[1] : 0];
  while (token === walking.current) {
    const next = randomSeed();
    const leg = { ...view.picture, seeds: [seed, next], isLeg: true };
    if (!(await walkLeg(token, leg, [0, 0], [1, 0]))) return;
    seed = next;
    await visit({ ...leg, seeds: [seed], at: [0, 0], isLeg: false });
  }
}

// Returns whether the end was reached.
async function walkLeg(token, picture, from, to) {
  const distance = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const start = performance.now();
  for (let done = 0; done < 1; ) {
    await new Promise(requestAnimationFrame);
    if (token !== walking.current) return false;
    const seconds = (performance.now() - start) / 1000;
    done = distance ? seconds / (walking.legSeconds * distance) : 1;
    const part = eased(Math.min(Math.max(done, 0), 1));
    const at = from.map((one, axis) => plain(one + (to[axis] - one) * part));
    await show({ ...picture, at });
    if (token !== walking.current) return false;
  }
  return true;
}
