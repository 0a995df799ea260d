"use strict";
// The latents of a picture: a function of its link alone, equal on every machine.
//
// A picture is {seeds, at, truncation, moves, classes, blend}: 1, 2 or 4 seeds, the place
// between them in [0, 1] x [0, 1], the largest magnitude of a latent's elements (null:
// any), how far it is moved along each direction, and if the generator knows classes,
// the label of one, or of two and the share of the second in [0, 1]. `isLeg` marks one that a walk passed, between two
// seeds that nobody chose to mix.

const element = (id) => document.getElementById(id);
const data = JSON.parse(element("data").textContent);
const MOST_SEED = 2 ** 32 - 1;
const MOST_MOVE = 3; // standard deviations of a latent
const DIGITS = /^\d+$/;
const DECIMAL = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/; // as JavaScript writes numbers

// Scrambles 32 bits: the last steps of MurmurHash3 (Appleby, 2011).
function scrambled(bits) {
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

// Returns the share of normal numbers below x <= 0 (Abramowitz and Stegun, 26.2.17,
// within 7.5e-8).
function shareBelow(x) {
  const t = 1 / (1 - 0.2316419 * x);
  const sum = [1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.31938153].reduce(
    (total, factor) => (total + factor) * t, 0,
  );
  return (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * sum;
}

// Returns the normal number below which a share in (0, 1) lies (Acklam, 2003, within
// 1.2e-9 of itself).
function normalAt(share) {
  const a = [
    -3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2,
    1.38357751867269e2, -3.066479806614716e1, 2.506628277459239,
  ];
  const b = [
    -5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2,
    6.680131188771972e1, -1.328068155288572e1, 1,
  ];
  const c = [
    -7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838,
    -2.549732539343734, 4.374664141464968, 2.938163982698783,
  ];
  const d = [
    7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1,
  ];
  const polynomial = (factors, x) => factors.reduce((sum, one) => sum * x + one, 0);
  if (share > 0.5) return -normalAt(1 - share);
  if (share < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(share));
    return polynomial(c, q) / polynomial(d, q);
  }
  const q = share - 0.5;
  return (q * polynomial(a, q * q)) / polynomial(b, q * q);
}

// Returns the standard normal latent of a seed, [latent_dim].
function latentOf(seed) {
  const start = scrambled(seed ^ 0x9e3779b9);
  return Float64Array.from({ length: data.latentDim }, (_, place) => {
    const bits = scrambled(start + Math.imul(place + 1, 0x9e3779b9));
    return normalAt((bits + 0.5) / 2 ** 32);
  });
}

// Maps normal numbers to a truncated normal, as `truncated` in
// commands/pictures/latents.py.
function truncated(latent, limit) {
  const lowest = shareBelow(-limit);
  return latent.map((z) => {
    const share = lowest + shareBelow(-Math.abs(z)) * (1 - 2 * lowest);
    return Math.sign(z) * Math.min(-normalAt(Math.min(share, 0.5)), limit);
  });
}

function weightsOf({ seeds, at: [x, y] }) {
  if (seeds.length === 1) return [1];
  if (seeds.length === 2) return [1 - x, x];
  return [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
}

// Returns the latent of a picture, float32 [latent_dim]. A mixture is divided by the
// length of its weights: its elements are normal again, as the generator expects.
function latentsOf(picture) {
  const weights = weightsOf(picture);
  const length = Math.hypot(...weights);
  let latent = new Float64Array(data.latentDim);
  picture.seeds.forEach((seed, index) => {
    if (!weights[index]) return;
    latentOf(seed).forEach((z, place) => (latent[place] += (z * weights[index]) / length));
  });
  if (picture.truncation !== null) latent = truncated(latent, picture.truncation);
  picture.moves.forEach((move, index) => {
    data.directions[index].vector.forEach((u, place) => (latent[place] += move * u));
  });
  return Float32Array.from(latent);
}

// Returns the weights of the classes of a picture, float32 [classes].
function classWeightsOf({ classes, blend }) {
  const weights = new Float32Array(data.classes.length);
  classes.forEach((label, index) => (weights[label] += index ? blend : 1 - blend));
  return weights;
}

// Returns the label of a class by its name, in upper or lower case; -1 if there is none.
function labelOf(name) {
  const label = data.classes.indexOf(name);
  const lower = name.toLowerCase();
  return label < 0 ? data.classes.findIndex((one) => one.toLowerCase() === lower) : label;
}

function linkOf({ seeds, at, truncation, moves, classes, blend }) {
  const parts = [`seed=${seeds.join(",")}`];
  if (seeds.length > 1) parts.push(`at=${at.join(",")}`);
  if (truncation !== null) parts.push(`truncation=${truncation}`);
  if (moves.some(Boolean)) parts.push(`moves=${moves.join(",")}`);
  for (const label of classes) parts.push(`class=${encodeURIComponent(data.classes[label])}`);
  if (classes.length > 1) parts.push(`blend=${blend}`);
  return "#" + parts.join("&");
}

// Returns the picture of a link, or null if it names none.
function pictureOf(link) {
  const values = new URLSearchParams(link.replace(/^#/, ""));
  // Number alone would take "" for 0 and "0x10" for 16.
  const number = (text, form) => (form.test(text) ? Number(text) : NaN);
  const numbers = (name, few, form = DECIMAL) =>
    (values.get(name) ?? few).split(",").map((text) => number(text, form));
  const within = (list, least, most) => list.every((one) => one >= least && one <= most);
  const none = new Array(data.directions.length).fill(0);
  const seeds = numbers("seed", "", DIGITS);
  const at = numbers("at", "0,0");
  const moves = numbers("moves", none.join(","));
  const [truncation] = values.has("truncation") ? numbers("truncation") : [null];
  const named = data.classes.length ? values.getAll("class").map(labelOf) : [];
  const classes = named.length || !data.classes.length ? named : [data.label];
  const [blend] = classes.length > 1 ? numbers("blend", "0.5") : [0];
  const isWhole =
    [1, 2, 4].includes(seeds.length) &&
    within(seeds, 0, MOST_SEED) &&
    at.length === 2 &&
    within(at, 0, 1) &&
    (!none.length || moves.length === none.length) &&
    within(moves, -MOST_MOVE, MOST_MOVE) &&
    classes.length <= 2 &&
    within(classes, 0, Infinity) &&
    within([blend], 0, 1) &&
    (truncation === null || (truncation > 0 && truncation < Infinity));
  const own = { seeds, at, truncation, moves: none.length ? moves : [], classes, blend };
  return isWhole ? own : null;
}

const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
