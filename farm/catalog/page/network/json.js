// JSON as a model file has it: a key named twice, which JSON.parse lets pass, is an error, and so are deep nesting, half
// characters, and numbers that 64 bits cannot hold.
// What comes from a file cannot reach a prototype: objects have none.

const MAX_JSON_DEPTH = 100;
const MAX_DIGITS = 18; // of a whole number, its sign included
const HALF_CHARACTER = /[\ud800-\udfff]/u;

function parseObject(text, what) {
  const value = new StrictJson(text, what).parse();
  if (value === null || typeof value !== "object" || Array.isArray(value))
    throw new Error(`its ${what} is no JSON object`);
  return value;
}

class StrictJson {
  constructor(text, what) {
    this.text = text;
    this.what = what;
    this.at = 0;
  }

  parse() {
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) this.fail();
    return value;
  }

  fail() {
    throw new Error(`its ${this.what} is no JSON at character ${this.at}`);
  }

  space() {
    while (" \t\n\r".includes(this.text[this.at] ?? "x")) this.at += 1;
  }

  // Steps over a character if it is the next; says whether it was.
  took(character) {
    this.space();
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  need(character) {
    if (!this.took(character)) this.fail();
  }

  value(depth) {
    if (depth > MAX_JSON_DEPTH) throw new Error(`its ${this.what} is nested too deeply`);
    if (this.took("{")) return this.object(depth);
    if (this.took("[")) return this.list(depth);
    this.space();
    if (this.text[this.at] === '"') return this.string();
    const plain = /(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)/y;
    plain.lastIndex = this.at;
    const found = plain.exec(this.text);
    if (found === null) this.fail();
    this.at += found[0].length;
    const value = JSON.parse(found[0]);
    if (typeof value !== "number") return value;
    if (!Number.isFinite(value) || (/^-?[0-9]+$/.test(found[0]) && found[0].length > MAX_DIGITS)) {
      throw new Error(`its ${this.what} holds a number of ${found[0].length} digits`);
    }
    return value;
  }

  string() {
    const quoted = /"[^"\\]*(?:\\.[^"\\]*)*"/y;
    quoted.lastIndex = this.at;
    const found = quoted.exec(this.text);
    if (found === null) this.fail();
    try {
      const value = JSON.parse(found[0]);
      if (HALF_CHARACTER.test(value)) return this.fail();
      this.at += found[0].length;
      return value;
    } catch {
      return this.fail();
    }
  }

  object(depth) {
    const object = Object.create(null);
    if (this.took("}")) return object;
    do {
      this.space();
      if (this.text[this.at] !== '"') this.fail();
      const key = this.string();
      if (key in object) throw new Error(`its ${this.what} names a key twice`);
      this.need(":");
      object[key] = this.value(depth + 1);
    } while (this.took(","));
    this.need("}");
    return object;
  }

  list(depth) {
    const list = [];
    if (this.took("]")) return list;
    do list.push(this.value(depth + 1));
    while (this.took(","));
    this.need("]");
    return list;
  }
}
