// TextEncoder and TextDecoder: https://encoding.spec.whatwg.org/
(web => {
  "use strict";
  const { call, bytesOf, interfaces } = web;

  class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return new Uint8Array(call("text.encode", String(text).toWellFormed())); }
    encodeInto(text, target) {
      if (!(target instanceof Uint8Array)) throw new TypeError("TextEncoder.encodeInto: the target must be a Uint8Array");
      let read = 0, written = 0;
      for (const c of String(text)) {
        const code = c.codePointAt(0), size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        if (written + size > target.length) break;
        written += size;
        read += c.length;
      }
      target.set(this.encode(String(text).slice(0, read)));
      return { read, written };
    }
  }

  const labels = {
    "utf-8": ["unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "utf-8", "utf8", "x-unicode20utf8"],
    "utf-16le": ["csunicode", "iso-10646-ucs-2", "ucs-2", "unicode", "unicodefeff", "utf-16", "utf-16le"],
    "utf-16be": ["unicodefffe", "utf-16be"],
    "windows-1252": ["ansi_x3.4-1968", "ascii", "cp1252", "cp819", "csisolatin1", "ibm819", "iso-8859-1", "iso-ir-100", "iso8859-1", "iso88591", "iso_8859-1", "iso_8859-1:1987", "l1", "latin1",
      "us-ascii", "windows-1252", "x-cp1252"],
  };
  const encodingOf = label => {
    const wanted = String(label).replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "").toLowerCase();
    for (const name in labels) if (labels[name].includes(wanted)) return name;
    throw new RangeError(`TextDecoder: there is no decoder of ${JSON.stringify(String(label))}; there are those of ${Object.keys(labels).join(", ")}`);
  };

  // open is how many bytes at the end of a piece begin a character that the next piece may complete.
  const open = {
    "windows-1252": () => 0,
    "utf-8"(b) {
      for (let n = 1; n <= Math.min(3, b.length); n++) {
        const c = b[b.length - n];
        if (c >= 0xc0) return n < (c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2) ? n : 0;
        if (c < 0x80) return 0;
      }
      return 0;
    },
    "utf-16le": b => openUnits(b, 1),
    "utf-16be": b => openUnits(b, 2),
  };
  const openUnits = (b, high) => { // high is where, from the end, the upper half of the last whole unit is
    const odd = b.length % 2, at = b.length - odd;
    return odd + (at >= 2 && (b[at - high] & 0xfc) === 0xd8 ? 2 : 0);
  };

  class TextDecoder {
    #encoding; #fatal; #ignoreBOM;
    #held = new Uint8Array(0); // what a piece has left for the next one
    #begun = false;            // the mark at the beginning has been looked for
    constructor(label = "utf-8", options) {
      this.#encoding = encodingOf(label);
      this.#fatal = Boolean(options?.fatal);
      this.#ignoreBOM = Boolean(options?.ignoreBOM);
    }
    get encoding() { return this.#encoding; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    decode(input, options) {
      let b = input === undefined ? new Uint8Array(0) : bytesOf(input, "TextDecoder.decode");
      if (this.#held.length > 0) {
        const all = new Uint8Array(this.#held.length + b.length);
        all.set(this.#held);
        all.set(b, this.#held.length);
        b = all;
      }
      const stream = Boolean(options?.stream), rest = stream ? open[this.#encoding](b) : 0, begun = this.#begun;
      this.#held = b.slice(b.length - rest);
      this.#begun = stream && (begun || b.length > rest);
      let text;
      try {
        text = call("text.decode", b.subarray(0, b.length - rest), this.#encoding, this.#fatal ? "fatal" : "");
      } catch (e) {
        this.#held = new Uint8Array(0);
        this.#begun = false;
        throw e.name === "EncodingError" ? new TypeError(`TextDecoder.decode: ${e.message}`) : e;
      }
      return !begun && !this.#ignoreBOM && text[0] === "\uFEFF" && this.#encoding !== "windows-1252" ? text.slice(1) : text;
    }
  }

  return interfaces({ TextEncoder, TextDecoder });
})
