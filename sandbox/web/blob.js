// Blob, File and FormData: https://w3c.github.io/FileAPI/ and https://xhr.spec.whatwg.org/#interface-formdata.
(web => {
  "use strict";
  const { call, bytesOf, interfaces } = web;
  const { rows } = web.use("lists");

  const utf8 = text => new Uint8Array(call("text.encode", text.toWellFormed()));
  const join = parts => {
    const all = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
    parts.reduce((at, p) => { all.set(p, at); return at + p.length; }, 0);
    return all;
  };
  const typeOf = type => /^[\x20-\x7e]*$/.test(type) ? type.toLowerCase() : "";

  let contentOf, sliced; // bytes that nobody else has
  class Blob {
    #content; #type;
    constructor(parts = [], options) {
      if (parts === null || typeof parts !== "object" || typeof parts[Symbol.iterator] !== "function") throw new TypeError("Blob: its parts must be a sequence");
      const endings = String(options?.endings ?? "transparent");
      if (endings !== "transparent" && endings !== "native") throw new TypeError(`Blob: endings are "transparent" or "native", not ${JSON.stringify(endings)}`);
      this.#content = join(Array.from(parts, p => {
        if (p instanceof Blob) return p.#content;
        if (p instanceof ArrayBuffer || ArrayBuffer.isView(p)) return bytesOf(p);
        p = String(p);
        return utf8(endings === "native" ? p.replace(/\r\n?/g, "\n") : p);
      }));
      this.#type = typeOf(String(options?.type ?? ""));
    }
    get size() { return this.#content.length; }
    get type() { return this.#type; }
    async text() { return call("text.decode", this.#content, "utf-8").replace(/^\uFEFF/, ""); }
    async arrayBuffer() { return this.#content.slice().buffer; }
    async bytes() { return this.#content.slice(); }
    stream() {
      const content = this.#content;
      return new (web.use("streams").ReadableStream)({ start(c) { if (content.length > 0) c.enqueue(content.slice()); c.close(); } });
    }
    slice(start = 0, end = this.size, type = "") { return sliced(this, start, end, String(type)); }
    static {
      contentOf = b => b.#content;
      sliced = (b, start, end, type) => {
        const part = new Blob();
        part.#content = b.#content.slice(Number(start), Number(end));
        part.#type = typeOf(type);
        return part;
      };
    }
  }

  class File extends Blob {
    #name; #modified;
    constructor(parts, name, options) {
      if (arguments.length < 2) throw new TypeError(`File: 2 arguments are needed, parts and name`);
      super(parts, options);
      this.#name = String(name).toWellFormed();
      this.#modified = options?.lastModified === undefined ? Date.now() : Math.trunc(Number(options.lastModified)) || 0;
    }
    get name() { return this.#name; }
    get lastModified() { return this.#modified; }
  }

  const entry = (who, name, value, file) => {
    name = String(name).toWellFormed();
    if (!(value instanceof Blob)) {
      if (file !== undefined) throw new TypeError(`${who}: only a Blob has a file name`);
      return [name, String(value).toWellFormed()];
    }
    if (file === undefined && value instanceof File) return [name, value];
    return [name, new File([value], file === undefined ? "blob" : file, { type: value.type, lastModified: value.lastModified })];
  };
  class FormData {
    #list = [];
    constructor(form) {
      if (form !== undefined) throw new TypeError("FormData: there are no forms to make it of; append what it is to have");
    }
    append(name, value, file) { this.#list.push(entry("FormData.append", name, value, file)); }
    delete(name) { this.#list = this.#list.filter(([n]) => n !== String(name)); }
    get(name) { return this.#list.find(([n]) => n === String(name))?.[1] ?? null; }
    getAll(name) { return this.#list.filter(([n]) => n === String(name)).map(([, v]) => v); }
    has(name) { return this.#list.some(([n]) => n === String(name)); }
    set(name, value, file) {
      const made = entry("FormData.set", name, value, file), at = this.#list.findIndex(([n]) => n === made[0]);
      this.#list = this.#list.filter(([n], i) => n !== made[0] || i === at);
      if (at < 0) this.#list.push(made); else this.#list[at] = made;
    }
    forEach(f, self) { for (const [name, value] of this) f.call(self, value, name, this); }
    entries() { return rows(() => this.#list, pair => [...pair]); }
    keys() { return rows(() => this.#list, pair => pair[0]); }
    values() { return rows(() => this.#list, pair => pair[1]); }
  }
  Object.defineProperty(FormData.prototype, Symbol.iterator, { value: FormData.prototype.entries, writable: true, configurable: true });

  // Forms as bytes: https://html.spec.whatwg.org/#multipart-form-data.
  const quoted = s => s.replace(/\r\n?|\n/g, "\r\n").replaceAll("\n", "%0A").replaceAll("\r", "%0D").replaceAll('"', "%22");
  const encodeForm = (form, boundary) => {
    const parts = [];
    for (const [name, value] of form) {
      const isFile = value instanceof File;
      parts.push(utf8(`--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"` +
        (isFile ? `; filename="${quoted(value.name)}"\r\nContent-Type: ${value.type || "application/octet-stream"}\r\n\r\n` : "\r\n\r\n")));
      parts.push(isFile ? contentOf(value) : utf8(value.replace(/\r\n?|\n/g, "\r\n")));
      parts.push(utf8("\r\n"));
    }
    parts.push(utf8(`--${boundary}--\r\n`));
    return join(parts);
  };
  const decodeForm = (bytes, boundary) => {
    const form = new FormData();
    for (const p of JSON.parse(call("form.parts", bytes, boundary))) {
      const content = bytes.subarray(p.from, p.to);
      if (p.filename === undefined) form.append(p.name, call("text.decode", content, "utf-8"));
      else form.append(p.name, new File([content], p.filename, { type: p.type ?? "text/plain" }));
    }
    return form;
  };

  return { ...interfaces({ Blob, File, FormData }), contentOf, encodeForm, decodeForm };
})
