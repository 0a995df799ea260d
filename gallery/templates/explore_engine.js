// The generator: unpacked from the page, run by ONNX Runtime Web on one thread.

// Returns the bytes of an element that holds gzip as base64.
async function unpacked(id) {
  const text = element(id).textContent;
  const bytes = Uint8Array.fromBase64
    ? Uint8Array.fromBase64(text)
    : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  element(id).remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const engine = { ort: null, session: null, isBusy: false, urgent: [], idle: [] };

async function startEngine() {
  const [script, binary, model] = await Promise.all(
    ["engine-script", "engine-binary", "model"].map(unpacked),
  );
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  engine.ort = await import(url);
  engine.ort.env.wasm.numThreads = 1;
  engine.ort.env.wasm.wasmBinary = binary;
  engine.ort.env.logLevel = "error";
  engine.session = await engine.ort.InferenceSession.create(new Uint8Array(model));
}

// Returns an input of the generator: a row for each picture.
function inputOf(rows) {
  const all = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, index) => all.set(row, index * row.length));
  return new engine.ort.Tensor("float32", all, [rows.length, rows[0].length]);
}

// Returns the images of pictures, an array of ImageData.
async function imagesOf(pictures) {
  const size = data.imageSize;
  const inputs = { latents: inputOf(pictures.map(latentsOf)) };
  if (data.classes.length) inputs.classes = inputOf(pictures.map(classWeightsOf));
  const { images } = await engine.session.run(inputs);
  return pictures.map((_, index) => {
    const image = new ImageData(size, size);
    const first = index * size * size * 3;
    for (let pixel = 0; pixel < size * size; pixel++) {
      for (let channel = 0; channel < 3; channel++) {
        // Rounds halves to even, as `to_uint8` in gallery/grids.py.
        const value = images.data[first + pixel * 3 + channel];
        image.data[pixel * 4 + channel] = (value + 1) * 127.5;
      }
      image.data[pixel * 4 + 3] = 255;
    }
    return image;
  });
}

// Draws pictures when the engine is free; what is urgent goes first. Returns null instead
// of images if by then it is no longer wanted.
function draw(pictures, { isUrgent = false, isWanted = () => true } = {}) {
  return new Promise((resolve, reject) => {
    const queue = isUrgent ? engine.urgent : engine.idle;
    queue.push({ pictures, isWanted, resolve, reject });
    serve();
  });
}

async function serve() {
  if (engine.isBusy || !engine.session) return;
  engine.isBusy = true;
  let job;
  while ((job = engine.urgent.shift() ?? engine.idle.shift())) {
    if (!job.isWanted()) {
      job.resolve(null);
      continue;
    }
    try {
      job.resolve(await imagesOf(job.pictures));
    } catch (error) {
      job.reject(error);
    }
    // Fingers and keys come before the next one.
    await new Promise((resume) => setTimeout(resume));
  }
  engine.isBusy = false;
}
