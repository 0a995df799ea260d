"use strict";
// What a run's last sign of life means, in words; and asking for the next one. A page
// opened from disk may not fetch a file, but it may load a script again and again.

function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.round(hours / 24)} days`;
}

// now: "training", "silent", "stopped" or "finished"; text; whether a command continues.
function standing(live) {
  if (live.state === "finished") return { now: "finished", text: "Finished.", asks: false };
  const asks = Boolean(live.command);
  const how = asks ? "; continue with" : "";
  const because = live.because ? `: ${live.because}` : "";
  if (live.state === "stopped") return { now: "stopped", text: `Stopped${because}${how}`, asks };
  const silence = Date.now() / 1000 - live.seen;
  if (silence > live.patience_seconds) {
    const text = `No sign of life for ${duration(silence)}: killed, or the machine sleeps${how}`;
    return { now: "silent", text, asks };
  }
  const left = live.seconds_left === null ? "" : `, ${duration(live.seconds_left)} left`;
  return { now: "training", text: `Training${left}${live.doing ? `: ${live.doing}` : ""}`, asks: false };
}

function ask(path) {
  const script = document.createElement("script");
  // Another address each time, or the browser would show what it has kept.
  script.src = `${path}?t=${Date.now()}`;
  script.onload = script.onerror = () => script.remove();
  document.head.append(script);
}
