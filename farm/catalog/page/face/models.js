// The models that this page can play: those the pack names, some of them in scripts beside the page, and those that
// the person opens. Browsers let no page read the files beside it, scripts excepted.

const MODEL_ENDING = ".farm.safetensors";
const FIRST_CHARACTER = 0x3400; // a script tells 15 bits by each character from here on
const LONGEST_FILE_BYTES = 2 ** 28; // 50 times the largest that a farm makes; more would only fill the memory

class Models {
  constructor(composer) {
    this.composer = composer;
    this.all = new Map(); // by file name
    for (const told of JSON.parse(document.getElementById("pack").textContent)) {
      this.all.set(told.file, { ...told, facts: null });
    }
  }

  // Whether a model can compose without asking the person for its file.
  static isHere(model) {
    return model.facts !== null || model.script !== null;
  }

  // Makes sure that the worker has the model; an Error tells what is wrong.
  async opened(model) {
    if (model.facts === null) {
      const bytes = await bytesOfScript(model);
      await this.give(model, bytes.buffer);
    }
    return model;
  }

  async give(model, data) {
    const question = { type: "open", name: model.file, data, sha256: model.sha256 };
    model.facts = await this.composer.ask(question, { moved: [data] }).answer;
    model.licence ||= model.facts.licence;
    model.attribution ||= model.facts.attribution;
    model.title ||= model.facts.title || model.file;
    model.precision = model.facts.precision;
  }

  // Takes files that the person chose. Returns { opened: [models], problems: [sentences] }.
  async take(files) {
    const found = [...files].filter((file) => file.name.endsWith(MODEL_ENDING));
    const [opened, problems] = [[], []];
    for (const file of found) {
      try {
        opened.push(await this.takeOne(file));
      } catch (error) {
        problems.push(`${file.name}: ${error.message}`);
      }
    }
    if (!found.length) {
      const what =
        files.length === 1 ? `${files[0].name}: is no model file` : `None of ${files.length} files is a model file`;
      problems.push(`${what}; choose files that end in ${MODEL_ENDING}`);
    }
    return { opened, problems };
  }

  async takeOne(file) {
    if (file.size > LONGEST_FILE_BYTES)
      throw new Error(`${file.size} bytes are too long for a model file; get the file again`);
    const model = this.all.get(file.name) ?? {
      file: file.name,
      title: "",
      style: "",
      licence: "",
      attribution: "",
      sha256: null,
      script: null,
      facts: null,
    };
    const data = await file.arrayBuffer().catch(() => {
      throw new Error("cannot be read; check that it is still there");
    });
    model.bytes = data.byteLength;
    await this.give(model, data);
    this.all.set(file.name, model);
    return model;
  }
}

const arriving = new Map();

// Called by a script of the pack when it runs.
function farmModel(style, text) {
  arriving.set(style, text);
}

async function bytesOfScript(model) {
  await new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = model.script;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${model.script} is missing or cannot be read; get the pack again`));
    document.head.append(script);
  });
  const text = arriving.get(model.style);
  arriving.delete(model.style);
  if (typeof text !== "string") throw new Error(`${model.script} holds no model; get the pack again`);
  return unpacked(text, model.bytes);
}

function unpacked(text, length) {
  const bytes = new Uint8Array(length);
  let [held, bits, at] = [0, 0, 0];
  for (let place = 0; place < text.length && at < length; place += 1) {
    held = (held << 15) | ((text.charCodeAt(place) - FIRST_CHARACTER) & 0x7fff);
    for (bits += 15; bits >= 8 && at < length; at += 1) {
      bits -= 8;
      bytes[at] = held >> bits;
    }
    held &= (1 << bits) - 1;
  }
  return bytes;
}

// Every file of what was dropped, those of folders too.
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) return files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const one of some) await walk(one);
    }
  };
  for (const entry of entries) await walk(entry);
  return files;
}
