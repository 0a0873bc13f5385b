// SPDX-License-Identifier: MIT
// Asks the engine and shows what it says. Whatever comes from the server becomes text, never markup.
"use strict";

const SIDE = 28;
const at = (id) => document.getElementById(id);
const show = (id, visible = true) => { at(id).hidden = !visible; };
let about = null, asked = 0, running = false, waiting = null;

async function fetched(path, question) {
  const how = question === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question),
  };
  const response = await fetch(path, how);
  const told = await response.json();
  if (!response.ok) throw new Error(told.error);
  return told;
}

const time = (seconds) => seconds >= 1 ? `${seconds.toFixed(2)} s`
  : seconds >= 1e-3 ? `${(1e3 * seconds).toFixed(2)} ms` : `${(1e6 * seconds).toFixed(0)} µs`;

function figures(told) {
  show("figures");
  at("equal").textContent = told.equal ? "equal in every bit" : "DIFFERENT";
  at("equal").className = told.equal ? "good" : "bad";
  at("cycles").textContent = told.cycles.toLocaleString("en");
  show("clock-row", about.clock_khz > 0);
  if (about.clock_khz > 0) {
    at("clock-title").textContent = `At the board's ${about.clock_khz / 1000} MHz`;
    at("clock").textContent = time(told.cycles / about.clock_khz / 1000);
  }
  at("processor").textContent = time(told.model_seconds);
  at("wire").textContent = time(told.wire_seconds);
}

function pictured(told) {
  at("answer").textContent = told.label;
  at("model").textContent = told.model_label;
  const list = at("scores"), low = Math.min(...told.scores), high = Math.max(...told.scores);
  list.replaceChildren(...told.scores.map((score, place) => {
    const row = document.createElement("li"), name = document.createElement("span");
    const bar = document.createElement("meter"), number = document.createElement("span");
    name.textContent = about.labels[place];
    bar.min = low - (high - low) / 20 - 1e-9;
    bar.max = high;
    bar.value = score;
    bar.setAttribute("aria-label", `score of ${about.labels[place]}`);
    number.textContent = String(score);
    row.className = score === high ? "best" : "";
    row.append(name, bar, number);
    return row;
  }));
  show("scores");
  figures(told);
}

// One question at a time; of those that come meanwhile, the last.
async function ask(path, question, then) {
  if (running) { waiting = [path, question, then]; return; }
  running = true;
  document.body.dataset.state = "busy";
  show("error", false);
  if (at("waiting")) at("waiting").textContent = "The engine is at work…";
  try {
    await then(await fetched(path, question));
    document.body.dataset.answers = String(++asked);
  } catch (error) {
    at("error").textContent = error.message;
    show("error");
  }
  running = false;
  document.body.dataset.state = "ready";
  if (waiting) { const next = waiting; waiting = null; ask(...next); }
}

// ---- drawing -------------------------------------------------------------------------------------------------------

function drawing() {
  show("drawing");
  const canvas = at("canvas"), pen = canvas.getContext("2d", { willReadFrequently: true });
  let last = null, example = 0;
  const clear = () => { pen.fillStyle = "#000"; pen.fillRect(0, 0, canvas.width, canvas.height); };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
  };
  clear();
  pen.lineWidth = 22;
  pen.lineCap = pen.lineJoin = "round";
  const line = (to) => {
    pen.strokeStyle = "#fff";
    pen.beginPath();
    pen.moveTo(...(last || to));
    pen.lineTo(...to);
    pen.stroke();
    last = to;
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); line(place(event)); });
  canvas.addEventListener("pointermove", (event) => { if (last) line(place(event)); });
  const end = () => { if (last) { last = null; ask("picture", { grey: greys(canvas) }, pictured); } };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  at("clear").addEventListener("click", () => { clear(); });
  at("example").addEventListener("click", () => ask("example", { number: example++ % about.examples }, (told) => {
    paint(pen, canvas, told.grey);
    pictured(told);
  }));
}

// The drawing as MNIST has them: 20 x 20, its centre of mass in the middle of 28 x 28.
function greys(canvas) {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let left = canvas.width, right = -1, top = canvas.height, bottom = -1, mass = 0, x_mass = 0, y_mass = 0;
  for (let y = 0; y < canvas.height; y++) for (let x = 0; x < canvas.width; x++) {
    const grey = data[4 * (y * canvas.width + x)];
    if (grey < 8) continue;
    left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
    mass += grey; x_mass += grey * x; y_mass += grey * y;
  }
  if (right < 0) return new Array(SIDE * SIDE).fill(0);
  const scale = 20 / Math.max(right - left + 1, bottom - top + 1);
  const small = document.createElement("canvas");
  small.width = small.height = SIDE;
  const pen = small.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, SIDE, SIDE);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(canvas, SIDE / 2 - scale * x_mass / mass, SIDE / 2 - scale * y_mass / mass,
    scale * canvas.width, scale * canvas.height);
  const found = pen.getImageData(0, 0, SIDE, SIDE).data;
  return Array.from({ length: SIDE * SIDE }, (_, place) => found[4 * place]);
}

function paint(pen, canvas, grey) {
  const size = canvas.width / SIDE;
  grey.forEach((value, place) => {
    pen.fillStyle = `rgb(${value} ${value} ${value})`;
    pen.fillRect(size * (place % SIDE), size * Math.floor(place / SIDE), size, size);
  });
}

// ---- writing -------------------------------------------------------------------------------------------------------

function writing() {
  show("writing");
  let seed = 1;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const named = (text) => text.split(about.labels[0]).filter(Boolean).join("\n");
  at("write").addEventListener("click", () => ask("text", { number: seed++ }, async (told) => {
    const target = at("written"), text = named(told.text);
    target.textContent = "";
    for (const letter of text) {
      target.textContent += letter;
      if (!still) await new Promise((done) => setTimeout(done, 60));
    }
    at("answer").classList.add("small");
    at("answer").textContent = `${told.text.length} characters, the ends of names among them`;
    at("model").textContent = named(told.model_text).replaceAll("\n", ", ");
    figures(told);
  }));
}

// ---- the beginning -------------------------------------------------------------------------------------------------

(async () => {
  try {
    about = await fetched("about");
    at("title").textContent = `${about.network} on ${about.place}`;
    at("about").textContent = `${about.lanes} lanes, weights of ${about.bits} bits. The model beside it: ${about.model}.`;
    (about.kind === "picture" ? drawing : writing)();
    document.body.dataset.state = "ready";
  } catch (error) {
    at("error").textContent = error.message;
    show("error");
  }
})();
