// URL and URLSearchParams: https://url.spec.whatwg.org/. URLs are parsed in Go; a URL here is the parts that came out of it.
(web => {
  "use strict";
  const { call, interfaces } = web;
  const { pairsOf, rows } = web.use("lists");

  const Parts = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];
  const parse = (url, base) => {
    const text = base === undefined ? call("url.parse", url) : call("url.parse", url, base);
    return text === "" ? undefined : text.split("\n"); // which no part has
  };

  let listOf, attach; // to what only the class itself sees
  class URLSearchParams {
    #list = [];
    #url; // gets what changes
    static {
      listOf = p => p.#list;
      attach = (p, url) => { p.#url = url; };
    }
    constructor(init = "") {
      if (init !== null && (typeof init === "object" || typeof init === "function")) {
        this.#list = pairsOf(init, "URLSearchParams").map(([name, value]) => [String(name).toWellFormed(), String(value).toWellFormed()]);
      } else {
        const text = String(init).toWellFormed();
        this.#list = decodeForm(text[0] === "?" ? text.slice(1) : text);
      }
    }
    #changed() { this.#url?.(encodeForm(this.#list)); }
    get size() { return this.#list.length; }
    append(name, value) {
      needs(arguments, 2, "URLSearchParams.append");
      this.#list.push([String(name).toWellFormed(), String(value).toWellFormed()]);
      this.#changed();
    }
    delete(name, value) {
      needs(arguments, 1, "URLSearchParams.delete");
      name = String(name).toWellFormed();
      if (value !== undefined) value = String(value).toWellFormed();
      const left = this.#list.filter(([n, v]) => n !== name || value !== undefined && v !== value);
      this.#list.splice(0, this.#list.length, ...left);
      this.#changed();
    }
    get(name) {
      needs(arguments, 1, "URLSearchParams.get");
      name = String(name).toWellFormed();
      return this.#list.find(([n]) => n === name)?.[1] ?? null;
    }
    getAll(name) {
      needs(arguments, 1, "URLSearchParams.getAll");
      name = String(name).toWellFormed();
      return this.#list.filter(([n]) => n === name).map(([, v]) => v);
    }
    has(name, value) {
      needs(arguments, 1, "URLSearchParams.has");
      name = String(name).toWellFormed();
      if (value !== undefined) value = String(value).toWellFormed();
      return this.#list.some(([n, v]) => n === name && (value === undefined || v === value));
    }
    set(name, value) {
      needs(arguments, 2, "URLSearchParams.set");
      name = String(name).toWellFormed();
      value = String(value).toWellFormed();
      const first = this.#list.find(([n]) => n === name);
      if (first === undefined) {
        this.#list.push([name, value]);
      } else {
        first[1] = value;
        const left = this.#list.filter(pair => pair === first || pair[0] !== name);
        this.#list.splice(0, this.#list.length, ...left);
      }
      this.#changed();
    }
    sort() {
      this.#list.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0); // by UTF-16 units, and stable
      this.#changed();
    }
    forEach(f, self) {
      if (typeof f !== "function") throw new TypeError("URLSearchParams.forEach: its first argument must be a function");
      for (const [name, value] of this) f.call(self, value, name, this);
    }
    entries() { return rows(() => this.#list, pair => [...pair]); }
    keys() { return rows(() => this.#list, pair => pair[0]); }
    values() { return rows(() => this.#list, pair => pair[1]); }
    toString() { return encodeForm(this.#list); }
  }
  Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, { value: URLSearchParams.prototype.entries, writable: true, configurable: true });

  const needs = (args, n, who) => {
    if (args.length < n) throw new TypeError(`${who}: ${n} argument${n > 1 ? "s are" : " is"} needed, there ${args.length === 1 ? "is 1" : `are ${args.length}`}`);
  };

  // Forms: https://url.spec.whatwg.org/#urlencoded-parsing. What needs no decoding, which is most, is not looked at letter by letter.
  const decodeForm = text => text === "" ? [] : text.split("&").filter(part => part !== "").map(part => {
    const at = part.indexOf("=");
    return at < 0 ? [decodePart(part), ""] : [decodePart(part.slice(0, at)), decodePart(part.slice(at + 1))];
  });
  const decodePart = part => {
    part = part.replaceAll("+", " ");
    return part.includes("%") ? call("url.decode", part) : part;
  };
  const encodePart = part => /^[A-Za-z0-9*._-]*$/.test(part) ? part
    : encodeURIComponent(part).replace(/[!'()~]/g, c => "%" + c.charCodeAt(0).toString(16).toUpperCase()).replaceAll("%20", "+");
  const encodeForm = list => list.map(([name, value]) => encodePart(name) + "=" + encodePart(value)).join("&");

  class URL {
    #parts;
    #params;
    constructor(url, base) {
      needs(arguments, 1, "URL");
      url = String(url).toWellFormed();
      if (base !== undefined) base = String(base).toWellFormed();
      this.#parts = parse(url, base);
      if (this.#parts === undefined) throw Object.assign(new TypeError(`Invalid URL: ${JSON.stringify(url)}${base === undefined ? "" : ` with base ${JSON.stringify(base)}`}`), { code: "ERR_INVALID_URL", input: url });
    }
    static parse(url, base) {
      try {
        return new URL(url, base);
      } catch {
        return null;
      }
    }
    static canParse(url, base) {
      needs(arguments, 1, "URL.canParse");
      return parse(String(url).toWellFormed(), base === undefined ? undefined : String(base).toWellFormed()) !== undefined;
    }
    get searchParams() {
      if (this.#params === undefined) {
        this.#params = new URLSearchParams(this.search);
        attach(this.#params, query => { this.#set("search", query); });
      }
      return this.#params;
    }
    toString() { return this.href; }
    toJSON() { return this.href; }
    #set(part, value) {
      const changed = call("url.set", this.#parts[0], part, value);
      if (changed === "") return false;
      this.#parts = changed.split("\n");
      return true;
    }
    #setAndParams(part, value) {
      const done = this.#set(part, value);
      if (done && this.#params !== undefined) {
        const list = listOf(this.#params);
        list.splice(0, list.length, ...decodeForm(this.search.slice(1)));
      }
      return done;
    }
    static {
      Parts.forEach((part, at) => {
        const set = part === "origin" ? undefined : function (value) {
          value = String(value).toWellFormed();
          if (!this.#setAndParams(part, value) && part === "href") throw new TypeError(`Invalid URL: ${JSON.stringify(value)}`);
        };
        Object.defineProperty(URL.prototype, part, { get() { return this.#parts[at]; }, set, enumerable: true, configurable: true });
      });
    }
  }

  return { ...interfaces({ URL, URLSearchParams }), href: (url, base) => parse(String(url).toWellFormed(), base)?.[0] };
})
