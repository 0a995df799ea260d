// The runs that are in training say so, and for how long, while this page is open.

const ASK_MILLISECONDS = 10000;
const cards = new Map(
  [...document.querySelectorAll("[data-live]")].map((card) => [card.dataset.live, card]));
const told = new Map();

function showState(card, live) {
  const { now, text } = standing({ ...live, command: null });
  const done = live.iteration.toLocaleString("en-US");
  card.querySelector(".state").textContent = text.replace(/\.$/, "");
  card.querySelector(".state").dataset.now = now;
  card.querySelector(".done").textContent = done;
  card.querySelector("progress").value = Math.min(1, live.iteration / live.total_iterations);
}

window.takeLive = (live) => {
  if (!cards.has(live.name)) return;
  told.set(live.name, live);
  showState(cards.get(live.name), live);
};

function askAll() {
  for (const [name, live] of told) showState(cards.get(name), live);
  if (document.hidden) return;
  for (const name of cards.keys()) ask(`${encodeURIComponent(name)}/live.js`);
}

if (cards.size) {
  askAll();
  setInterval(askAll, ASK_MILLISECONDS);
  document.addEventListener("visibilitychange", askAll);
}
