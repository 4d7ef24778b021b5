// Headers, Request and Response: https://fetch.spec.whatwg.org/. What sends a request is not here.
(web => {
  "use strict";
  const { call, bytesOf, interfaces } = web;
  const { pairsOf, rows } = web.use("lists"), { href } = web.use("url");
  const utf8 = text => new Uint8Array(call("text.encode", text.toWellFormed()));
  const isA = (v, group, name) => web.made(group) !== undefined && v instanceof web.made(group)[name]; // nothing is of a group that was never used

  // Headers.
  const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
  const shown = v => { const s = JSON.stringify(v); return s.length > 80 ? s.slice(0, 77) + '…"' : s; };
  const headerName = (name, who) => {
    name = String(name);
    if (!token.test(name)) throw new TypeError(`${who}: ${shown(name)} is not a header's name; it has letters, digits and -`);
    return name.toLowerCase();
  };
  const headerValue = (value, who) => {
    value = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
    if (/[\0\r\n]|[^\0-\xff]/.test(value)) throw new TypeError(`${who}: ${shown(value)} is not a header's value; it has no line breaks, and only characters up to U+00FF: use encodeURIComponent for others`);
    return value;
  };

  let freeze;
  class Headers {
    #list = [];   // [name in lower case, value], in the order in which they came
    #sorted;      // the same as it is shown
    #frozen = false;
    static { freeze = h => { h.#frozen = true; return h; }; }
    constructor(init) {
      if (init === undefined) return;
      if (init === null || typeof init !== "object" && typeof init !== "function") throw new TypeError("Headers: they must be made of pairs or of an object");
      for (const [name, value] of init instanceof Headers && init[Symbol.iterator] === Headers.prototype.entries ? init.#list : pairsOf(init, "Headers")) this.append(name, value);
    }
    #change(list) {
      if (this.#frozen) throw new TypeError("Headers: these cannot be changed; make new ones of them, new Headers(these)");
      this.#list = list;
      this.#sorted = undefined;
    }
    append(name, value) {
      const pair = [headerName(name, "Headers.append"), headerValue(value, "Headers.append")];
      this.#change(this.#list);
      this.#list.push(pair); // without a copy: a request may have thousands
    }
    delete(name) {
      name = headerName(name, "Headers.delete");
      this.#change(this.#list.filter(([n]) => n !== name));
    }
    get(name) {
      name = headerName(name, "Headers.get");
      const values = this.#list.filter(([n]) => n === name).map(([, v]) => v);
      return values.length === 0 ? null : values.join(", ");
    }
    getSetCookie() { return this.#list.filter(([n]) => n === "set-cookie").map(([, v]) => v); }
    has(name) {
      name = headerName(name, "Headers.has");
      return this.#list.some(([n]) => n === name);
    }
    set(name, value) {
      name = headerName(name, "Headers.set");
      value = headerValue(value, "Headers.set");
      const at = this.#list.findIndex(([n]) => n === name), list = this.#list.filter(([n], i) => n !== name || i === at);
      if (at < 0) list.push([name, value]); else list[at] = [name, value];
      this.#change(list);
    }
    #all() {
      if (this.#sorted === undefined) {
        const values = new Map();
        for (const [n, v] of this.#list) {
          const before = values.get(n);
          if (before === undefined) values.set(n, [v]); else before.push(v);
        }
        this.#sorted = [...values.keys()].sort().flatMap(n => n === "set-cookie" ? values.get(n).map(v => [n, v]) : [[n, values.get(n).join(", ")]]);
      }
      return this.#sorted;
    }
    forEach(f, self) {
      if (typeof f !== "function") throw new TypeError("Headers.forEach: its first argument must be a function");
      for (const [name, value] of this) f.call(self, value, name, this);
    }
    entries() { return rows(() => this.#all(), pair => [...pair]); }
    keys() { return rows(() => this.#all(), pair => pair[0]); }
    values() { return rows(() => this.#all(), pair => pair[1]); }
  }
  Object.defineProperty(Headers.prototype, Symbol.iterator, { value: Headers.prototype.entries, writable: true, configurable: true });

  // Bodies. One is bytes, for as long as nobody asks for the stream, or a stream.
  const bodyOf = (v, who) => { // what a body is made of, and its type
    if (v === null || v === undefined) return {};
    if (isA(v, "streams", "ReadableStream")) {
      if (v.locked || web.made("streams").disturbed(v)) throw new TypeError(`${who}: the stream is locked or has been read from`);
      return { stream: v };
    }
    if (v instanceof ArrayBuffer || ArrayBuffer.isView(v)) return { bytes: bytesOf(v).slice() };
    if (isA(v, "blob", "Blob")) return { bytes: web.made("blob").contentOf(v), type: v.type || undefined };
    if (isA(v, "url", "URLSearchParams")) return { bytes: utf8(v.toString()), type: "application/x-www-form-urlencoded;charset=UTF-8" };
    if (isA(v, "blob", "FormData")) {
      const boundary = "----formdata-evoke-" + Math.random().toString(36).slice(2) + Math.random().toString(36).slice(2);
      return { bytes: web.made("blob").encodeForm(v, boundary), type: "multipart/form-data; boundary=" + boundary };
    }
    return { bytes: utf8(String(v)), type: "text/plain;charset=UTF-8" };
  };
  const gather = async stream => {
    const reader = stream.getReader(), chunks = [];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (!(value instanceof Uint8Array)) throw new TypeError("a chunk of the body is not a Uint8Array; encode text by TextEncoder");
      chunks.push(value);
    }
    const all = new Uint8Array(chunks.reduce((sum, c) => sum + c.length, 0));
    chunks.reduce((at, c) => { all.set(c, at); return at + c.length; }, 0);
    return all;
  };

  let take, fill, share, hasBody; // a body's content; what only the class itself sees
  class Body {
    #bytes; #stream; #used = false;
    get body() {
      if (this.#stream === undefined && this.#bytes !== undefined) {
        const { ReadableStream } = web.use("streams"), bytes = this.#bytes, used = this.#used;
        this.#stream = new ReadableStream({ start(c) { if (bytes.length > 0) c.enqueue(bytes.slice()); c.close(); } });
        if (used) this.#stream.getReader(); // there is nothing to be had from it any more
      }
      return this.#stream ?? null;
    }
    get bodyUsed() { return this.#used || this.#stream !== undefined && web.made("streams").disturbed(this.#stream); }
    async arrayBuffer() { return (await take(this, "arrayBuffer")).slice().buffer; }
    async bytes() { return (await take(this, "bytes")).slice(); }
    async text() { return call("text.decode", await take(this, "text"), "utf-8").replace(/^\uFEFF/, ""); }
    async json() { return JSON.parse(call("text.decode", await take(this, "json"), "utf-8").replace(/^\uFEFF/, "")); }
    async blob() { return new (web.use("blob").Blob)([await take(this, "blob")], { type: this.headers.get("content-type") ?? "" }); }
    async formData() {
      const type = this.headers.get("content-type") ?? "", { FormData, decodeForm } = web.use("blob");
      if (/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) {
        const form = new FormData();
        for (const [name, value] of new (web.use("url").URLSearchParams)(call("text.decode", await take(this, "formData"), "utf-8"))) form.append(name, value);
        return form;
      }
      const boundary = /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(type);
      if (boundary === null) throw new TypeError(`formData: the content type ${shown(type)} is no form's; it is application/x-www-form-urlencoded, or multipart/form-data with a boundary`);
      const bytes = await take(this, "formData");
      try {
        return decodeForm(bytes, boundary[1] ?? boundary[2]);
      } catch (e) {
        throw new TypeError(`formData: ${e.message}`);
      }
    }
    static {
      const usable = (b, who) => {
        if (b.bodyUsed || b.#stream?.locked) throw new TypeError(`${who}: the body has been read already, or is being read; clone() before reading gives a second one`);
      };
      take = async (b, who) => {
        usable(b, who);
        if (b.#stream !== undefined) return gather(b.#stream);
        b.#used = b.#bytes !== undefined; // who has no body can be asked again
        return b.#bytes ?? new Uint8Array(0);
      };
      hasBody = b => b.#bytes !== undefined || b.#stream !== undefined;
      fill = (b, { bytes, stream }) => { b.#bytes = bytes; b.#stream = stream; };
      // share gives a second body, or with move the only one, the first then being used.
      share = (b, who, move) => {
        usable(b, who);
        if (move) {
          const all = { bytes: b.#bytes, stream: b.#stream };
          if (hasBody(b)) [b.#bytes, b.#stream, b.#used] = [new Uint8Array(0), undefined, true];
          return all;
        }
        if (b.#stream === undefined) return { bytes: b.#bytes };
        const [mine, other] = b.#stream.tee();
        b.#stream = mine;
        b.#bytes = undefined;
        return { stream: other };
      };
    }
  }

  const oneOf = (who, name, value, all) => {
    value = String(value);
    if (!all.includes(value)) throw new TypeError(`${who}: ${name} is ${all.map(a => JSON.stringify(a)).join(", ")}; not ${shown(value)}`);
    return value;
  };

  let requestFrom, requestParts;
  class Request extends Body {
    #url; #method = "GET"; #headers; #signal; #init = {};
    constructor(input, init = {}) {
      super();
      if (arguments.length === 0) throw new TypeError("Request: 1 argument is needed, a URL or a Request");
      if (init === null) init = {};
      if (typeof init !== "object" && typeof init !== "function") throw new TypeError("Request: its second argument must be an object");
      if (init === raw) return;
      const from = input instanceof Request ? input : undefined;
      if (from === undefined) {
        this.#url = href(input);
        if (this.#url === undefined) throw new TypeError(`Request: ${shown(String(input))} is not an absolute URL`);
        if (/^[^/?#]*\/\/[^/?#]*@/.test(this.#url)) throw new TypeError("Request: the URL has a user and a password in it; put them into an Authorization header");
      } else {
        this.#url = from.#url;
        this.#method = from.#method;
        this.#init = { ...from.#init };
      }
      if (init.window !== undefined && init.window !== null) throw new TypeError("Request: there is no window");
      if (init.mode === "navigate") throw new TypeError('Request: mode cannot be "navigate"');
      for (const [name, all] of Object.entries(choices)) if (init[name] !== undefined) this.#init[name] = oneOf("Request", name, init[name], all);
      if (init.integrity !== undefined) this.#init.integrity = String(init.integrity);
      if (init.keepalive !== undefined) this.#init.keepalive = Boolean(init.keepalive);
      if (init.method !== undefined) this.#method = methodOf(init.method);
      const signal = init.signal === undefined ? from?.#signal : init.signal;
      if (signal !== undefined && signal !== null) {
        const { AbortSignal } = web.use("events");
        if (!(signal instanceof AbortSignal)) throw new TypeError("Request: signal must be an AbortSignal");
        this.#signal = AbortSignal.any([signal]);
      }
      this.#headers = new Headers(init.headers ?? from?.#headers);
      const given = init.body !== undefined && init.body !== null;
      if ((this.#method === "GET" || this.#method === "HEAD") && (given || from !== undefined && hasBody(from) && init.body === undefined)) {
        throw new TypeError(`Request: a request with the method ${this.#method} has no body; give a method that has one, such as POST`);
      }
      if (given) {
        const made = bodyOf(init.body, "Request");
        fill(this, made);
        if (made.type !== undefined && !this.#headers.has("content-type")) this.#headers.append("content-type", made.type);
      } else if (from !== undefined && init.body === undefined) {
        fill(this, share(from, "Request", true));
      }
    }
    get url() { return this.#url; }
    get method() { return this.#method; }
    get headers() { return this.#headers; }
    get signal() { return this.#signal ??= new (web.use("events").AbortController)().signal; }
    get destination() { return ""; }
    get referrer() { return "about:client"; }
    get referrerPolicy() { return this.#init.referrerPolicy ?? ""; }
    get mode() { return this.#init.mode ?? "cors"; }
    get credentials() { return this.#init.credentials ?? "same-origin"; }
    get cache() { return this.#init.cache ?? "default"; }
    get redirect() { return this.#init.redirect ?? "follow"; }
    get integrity() { return this.#init.integrity ?? ""; }
    get keepalive() { return this.#init.keepalive ?? false; }
    get isHistoryNavigation() { return false; }
    get isReloadNavigation() { return false; }
    get duplex() { return "half"; }
    clone() {
      const body = share(this, "Request.clone", false), r = new Request(undefined, raw);
      r.#url = this.#url;
      r.#method = this.#method;
      r.#headers = new Headers(this.#headers);
      r.#init = { ...this.#init };
      if (this.#signal !== undefined) r.#signal = web.use("events").AbortSignal.any([this.#signal]);
      fill(r, body);
      return r;
    }
    static {
      requestFrom = ({ url, method, headers, body }) => {
        const r = new Request(undefined, raw);
        r.#url = url;
        r.#method = method;
        r.#headers = new Headers();
        for (const [name, value] of headers) r.#headers.append(name, value);
        fill(r, { bytes: body ?? undefined });
        return r;
      };
      requestParts = r => ({ url: r.#url, method: r.#method, headers: [...r.#headers], signal: r.#signal, redirect: r.redirect });
    }
  }
  const raw = {}; // makes an object without looking at anything
  const choices = {
    mode: ["same-origin", "no-cors", "cors", "navigate"],
    credentials: ["omit", "same-origin", "include"],
    cache: ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"],
    redirect: ["follow", "error", "manual"],
    referrerPolicy: ["", "no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin", "origin-when-cross-origin", "strict-origin-when-cross-origin", "unsafe-url"],
    duplex: ["half"],
  };
  const methodOf = method => {
    method = String(method);
    if (!token.test(method)) throw new TypeError(`Request: ${shown(method)} is not a method`);
    const upper = method.toUpperCase();
    if (["CONNECT", "TRACE", "TRACK"].includes(upper)) throw new TypeError(`Request: the method ${method} is not allowed`);
    return ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"].includes(upper) ? upper : method;
  };

  let responseFrom, responseParts;
  class Response extends Body {
    #status = 200; #statusText = ""; #headers = new Headers(); #type = "default"; #url = ""; #redirected = false;
    constructor(body = null, init = {}) {
      super();
      if (init === null) init = {};
      if (init.status !== undefined) {
        const status = Math.trunc(Number(init.status));
        if (!(status >= 200 && status <= 599)) throw new RangeError(`Response: a status is from 200 to 599, not ${shown(String(init.status))}`);
        this.#status = status;
      }
      if (init.statusText !== undefined) {
        this.#statusText = String(init.statusText);
        if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(this.#statusText)) throw new TypeError(`Response: ${shown(this.#statusText)} is not a status text; it has no line breaks, and only characters up to U+00FF`);
      }
      if (init.headers !== undefined) this.#headers = new Headers(init.headers);
      if (body === null || body === undefined) return;
      if ([204, 205, 304].includes(this.#status)) throw new TypeError(`Response: one with the status ${this.#status} has no body; give null`);
      const made = bodyOf(body, "Response");
      fill(this, made);
      if (made.type !== undefined && !this.#headers.has("content-type")) this.#headers.append("content-type", made.type);
    }
    get type() { return this.#type; }
    get url() { return this.#url; }
    get redirected() { return this.#redirected; }
    get status() { return this.#status; }
    get ok() { return this.#status >= 200 && this.#status <= 299; }
    get statusText() { return this.#statusText; }
    get headers() { return this.#headers; }
    clone() {
      const body = share(this, "Response.clone", false), r = new Response();
      r.#status = this.#status;
      r.#statusText = this.#statusText;
      r.#headers = new Headers(this.#headers);
      r.#type = this.#type;
      r.#url = this.#url;
      r.#redirected = this.#redirected;
      fill(r, body);
      return r;
    }
    static error() {
      const r = new Response();
      r.#type = "error";
      r.#status = 0;
      freeze(r.#headers);
      return r;
    }
    static redirect(url, status = 302) {
      const to = href(url);
      if (to === undefined) throw new TypeError(`Response.redirect: ${shown(String(url))} is not an absolute URL; for a relative one, new Response(null, { status: 302, headers: { location } })`);
      if (![301, 302, 303, 307, 308].includes(Number(status))) throw new RangeError(`Response.redirect: a status is 301, 302, 303, 307 or 308, not ${shown(String(status))}`);
      const r = new Response(null, { status, headers: { location: to } });
      freeze(r.#headers);
      return r;
    }
    static json(data, init) {
      const text = JSON.stringify(data);
      if (text === undefined) throw new TypeError("Response.json: the data cannot be JSON");
      const headers = new Headers(init?.headers);
      if (!headers.has("content-type")) headers.append("content-type", "application/json");
      return new Response(text, { status: init?.status, statusText: init?.statusText, headers });
    }
    static {
      responseFrom = ({ status, statusText = "", headers, body, url = "", redirected = false }) => {
        const r = new Response();
        r.#status = status;
        r.#statusText = statusText;
        for (const [name, value] of headers) r.#headers.append(name, value);
        r.#type = "basic";
        r.#url = url;
        r.#redirected = redirected;
        fill(r, { bytes: body ?? undefined });
        freeze(r.#headers);
        return r;
      };
      responseParts = r => ({ status: r.#status, statusText: r.#statusText, headers: [...r.#headers] });
    }
  }

  for (const one of [Request, Response]) { // what Body has is theirs
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(Body.prototype))) {
      if (name !== "constructor") Object.defineProperty(one.prototype, name, property);
    }
    Object.setPrototypeOf(one.prototype, Object.prototype);
  }

  return {
    ...interfaces({ Headers, Request, Response }),
    // For the runtime: objects made of what the host says, and what the host is told of them. Bodies are Uint8Arrays, headers are pairs.
    requestFrom, requestParts, responseFrom, responseParts,
    // takeBody resolves with the bytes of a body, which then is used.
    takeBody: b => take(b, "the runtime"),
  };
})
