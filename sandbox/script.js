// What a script finds beside its own code, and how the runtime calls it. It is part of every snapshot. A block and no function around it: the engine would keep that one's source, too.
"use strict";
{
  const host = globalThis.__host;
  delete globalThis.__host;
  const { parse, stringify } = JSON, { String, Number, Error, TypeError, Math, Date } = globalThis;
  const own = (o, name, value) => Object.defineProperty(o, name, { value, writable: true, enumerable: true, configurable: true }) && value;

  // Exceptions. What a script throws says by `reject` and `retryAfter` what is to become of the event.
  const frames = e => typeof e?.stack === "string" ? e.stack.split("\n").map(l => l.trim()).filter(l => l && !l.includes("(evoke:") && !l.startsWith("at evoke:")) : [];
  const said = e => {
    try {
      return e instanceof Error || typeof e !== "object" ? String(e) : shown(e);
    } catch {
      return "something that cannot be shown was thrown";
    }
  };
  const reasonOf = (e, reject) => {
    const message = e instanceof Error ? String(e.message) : "";
    if (reject) return message || "rejected without a reason"; // it is no error of the function's
    const reason = e instanceof Error && e.name === "Error" && message || said(e); // "Error: " would say nothing more
    return e?.cause ?? e?.errors ? reason + web.use("inspect").behind(e) : reason;
  };
  const explain = e => {
    const reject = e?.reject === true;
    return stringify({
      reason: reasonOf(e, reject),
      frames: frames(e).slice(0, 16),
      reject,
      retryAfter: Number.isFinite(e?.retryAfter) ? Math.max(0, Math.trunc(e.retryAfter)) : -1,
    });
  };
  const where = () => frames(new Error()).slice(0, 16).join("\n");

  // Logs.
  const simple = v => typeof v === "bigint" ? `${v}n` : v === 0 && 1 / v < 0 ? "-0" : String(v);
  const shown = v => typeof v === "string" ? v : typeof v === "object" && v !== null || typeof v === "function" ? web.use("inspect").text(v) : simple(v);
  const log = level => (...values) => {
    const [first] = values;
    host("log", level, values.length > 1 && typeof first === "string" && first.includes("%") ? web.use("inspect").format(first, values.slice(1)) : values.map(shown).join(" "));
  };
  const attribute = ([name, v]) => {
    const text = shown(v);
    return `${name}=${/^[^\s"=]+$/.test(text) ? text : stringify(text)}`;
  };
  const logWith = level => (message, attributes = {}) => { host("log", level, [shown(message), ...Object.entries(attributes).map(attribute)].join(" ")); };
  globalThis.console = { debug: log("debug"), log: log("info"), info: log("info"), warn: log("warn"), error: log("error") };
  for (const name of "dir dirxml table group groupCollapsed groupEnd clear trace assert time timeLog timeEnd count countReset".split(" ")) globalThis.console[name] = (...values) => web.use("inspect").more[name](...values);

  // Timers. The runtime sleeps until the next one is due, or a call has its answer.
  let timers = [], lastTimer = 0;
  const later = (again) => (f, ms = 0, ...args) => {
    const every = Math.max(0, Number(ms) || 0);
    timers.push({ id: ++lastTimer, at: Date.now() + every, every: again ? Math.max(1, every) : -1, f, args });
    return lastTimer;
  };
  const forget = id => { timers = timers.filter(t => t.id !== id); };
  globalThis.setTimeout = later(false);
  globalThis.setInterval = later(true);
  globalThis.clearTimeout = globalThis.clearInterval = forget;

  // The web platform. Each group of its globals is a file of its own, which runs when one of them is first touched: a getter, which then becomes an ordinary property.
  const bytesOf = (v, who) => {
    if (v instanceof ArrayBuffer) return new Uint8Array(v);
    if (ArrayBuffer.isView(v)) return new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
    throw new TypeError(`${who}: the data must be an ArrayBuffer or a view of one`);
  };
  const web = {
    bytesOf, frames, simple,
    // call does the work of a group in Go. Its arguments are strings and Uint8Arrays, what it returns is a string or an ArrayBuffer.
    call(op, ...args) {
      const answer = host("web.call", op, ...args);
      if (answer !== undefined) return answer;
      const [name, message] = parse(host("web.problem"));
      throw new DOMException(message, name);
    },
    // interfaces makes classes look as the platform's: what they have can be enumerated, and they say what they are.
    interfaces(classes) {
      for (const [name, made] of Object.entries(classes)) {
        for (const part of [made, made.prototype]) {
          for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(part))) {
            if (property.configurable && key !== "constructor" && key !== "prototype" && key !== "name" && key !== "length") Object.defineProperty(part, key, { enumerable: true });
          }
        }
        Object.defineProperty(made.prototype, Symbol.toStringTag, { value: name, configurable: true });
      }
      return classes;
    },
    // use returns what a group makes, whatever has become of the globals.
    use(group) { return groups[group] ??= host("web.group", group)(web); },
    // made is the same for those that have been used.
    made(group) { return groups[group]; },
  };
  const groups = {}, lazy = new Set(), globals = parse(host("web.globals"));
  const isLazy = name => lazy.has(Object.getOwnPropertyDescriptor(globalThis, name)?.get);
  const put = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
  const install = group => {
    const made = web.use(group);
    for (const name of globals[group] ?? []) if (isLazy(name)) put(name, made[name]);
    return made;
  };
  for (const group in globals) {
    for (const name of globals[group]) {
      const get = () => install(group)[name];
      lazy.add(get);
      Object.defineProperty(globalThis, name, { get, set: value => { put(name, value); }, enumerable: false, configurable: true });
    }
  }
  put("self", globalThis);
  put("navigator", Object.freeze({ userAgent: "Evoke" }));

  // Calls of the runtime that take their time. So many are under way at the same time, and so many more wait for their turn.
  const atOnce = 64, waiting = 1000;
  let open = new Map(), queue = [];
  const send = call => {
    const handle = host("begin", call.op, call.head, call.body, call.what);
    if (handle[0] === "e") call.reject(new TypeError(`${call.what}: ${handle.slice(1)}`));
    else open.set(call.handle = Number(handle), call);
  };
  const next = () => { while (open.size < atOnce && queue.length > 0) send(queue.shift()); };
  // begin takes { op, head, body, what, read }; the promise is of what read makes of the answer.
  const begin = call => {
    call.promise = new Promise((resolve, reject) => { call.resolve = resolve; call.reject = reject; });
    if (queue.length < waiting) queue.push(call);
    else call.reject(new TypeError(`${call.what}: ${atOnce} calls are under way and ${waiting} more wait already; begin fewer at the same time`));
    next();
    return call.promise;
  };
  const cancel = (call, reason) => {
    if (open.get(call.handle) === call && open.delete(call.handle)) host("cancel", String(call.handle));
    queue = queue.filter(c => c !== call);
    call.reject(reason);
    next();
  };
  const answered = (handle, status, head, body, kind) => {
    const call = open.get(handle);
    if (!open.delete(handle)) return;
    try {
      call.resolve(call.read(status, head, body, kind));
    } catch (e) {
      call.reject(e);
    }
    next();
  };

  // Requests to others. What belongs to a connection is not a function's to set, and is left out as browsers do.
  const ofTheConnection = /^(host|content-length|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|proxy-.*)$/;
  const redirects = [301, 302, 303, 307, 308], withoutBody = [204, 205, 304];
  // Headers have bytes. What came as a text with other characters is their UTF-8.
  const asBytes = ([name, v]) => [name, /[^\0-\xff]/.test(v) ? unescape(encodeURIComponent(v)) : v];
  put("fetch", async (input, init) => {
    const { Request, requestParts, responseFrom, takeBody } = web.use("fetch");
    const request = new Request(input, init), { url, method, headers, signal, redirect } = requestParts(request);
    const at = url.split(/[?#]/, 1)[0]; // without the query, in which secrets are at home
    const body = await takeBody(request);
    signal?.throwIfAborted();
    const call = {
      op: "http.fetch", what: `fetch ${method} ${at}`, body,
      head: stringify({ url, method, headers: headers.filter(h => !ofTheConnection.test(h[0])), redirect: redirect === "follow" ? redirect : "manual", event: number }),
      read(status, head, body) {
        if (status !== 200) throw new TypeError(`${this.what}: ${head}`);
        const r = parse(head);
        if (redirect === "error" && redirects.includes(r.status)) throw new TypeError(`${this.what}: it is redirected, and redirect is "error"`);
        return responseFrom({ ...r, headers: r.headers.map(asBytes), redirected: r.url !== url.split("#", 1)[0], body: withoutBody.includes(r.status) ? undefined : new Uint8Array(body) });
      },
    };
    signal?.addEventListener("abort", () => cancel(call, signal.reason), { once: true });
    return begin(call);
  });

  // Events.
  const JSONData = 0;
  const value = (raw, kind) => kind === JSONData ? parse(raw) : raw;
  const requestOf = ({ method, path, rawPath, params, query, headers }, data) => {
    const first = name => headers.find(h => h[0] === name)?.[1];
    const search = query.map(pair => pair.map(encodeURIComponent).join("=")).join("&");
    const url = `${first("x-forwarded-proto") ?? "http"}://${first("host") || "localhost"}${rawPath || path || "/"}${search && "?" + search}`;
    const request = web.use("fetch").requestFrom({ url, method, headers: headers.map(asBytes), body: data.length > 0 ? data : undefined });
    own(request, "params", params);
    return request;
  };
  class Event {
    #raw; #kind; #number;
    constructor(raw, kind, number) { this.#raw = raw; this.#kind = kind; this.#number = String(number); }
    get data() { return own(this, "data", value(this.#raw, this.#kind)); }
    text() { return typeof this.#raw === "string" ? this.#raw : host("text", this.#number); }
    bytes() { return new Uint8Array(host("data", this.#number)); }
    get attributes() { return own(this, "attributes", parse(host("attributes", this.#number))); }
    get request() { const r = host("request", this.#number); return own(this, "request", r === undefined ? undefined : requestOf(parse(r), this.bytes())); }
    get id() { return this.attributes.id; }
    get source() { return this.attributes.source; }
    get type() { return this.attributes.type; }
    get subject() { return this.attributes.subject; }
    get time() { return this.attributes.time; }
    toJSON() {
      const raw = this.#raw;
      if (raw === undefined) return this.attributes;
      return typeof raw === "string" ? { ...this.attributes, data: this.data } : { ...this.attributes, data_base64: bytesOf(raw).toBase64() };
    }
  }
  // inJSON refuses what JSON has no words for and would leave empty: what was in it would be lost, and nobody told.
  const plain = Object.prototype;
  const inJSON = (v, who) => {
    if (Object.getPrototypeOf(v) === plain) return v; // nearly always
    if (v instanceof Error || !/ (Object|Array)\]$/.test(plain.toString.call(v))) web.use("inspect").refuse(v, who);
    return v;
  };
  const ask = (op, name, value) => {
    const answer = host(op, String(name), value === undefined ? "" : value);
    if (answer[0] === "e") throw new Error(answer.slice(1));
    return answer[0] === "v" ? answer.slice(1) : undefined;
  };
  const state = Object.freeze({ // promises, so that they may take their time one day
    async get(name) { const v = ask("state.get", name); return v === undefined ? undefined : parse(v); },
    async set(name, value) {
      const text = stringify(typeof value === "object" && value !== null ? inJSON(value, `the value of ${stringify(String(name))}`) : value);
      if (text === undefined) throw new TypeError("a value of state must be JSON; state.delete removes one");
      ask("state.set", name, text);
    },
    async delete(name) { ask("state.delete", name); },
    async list(prefix = "") {
      const all = [];
      for (;;) {
        const { names, more } = parse(ask("state.list", prefix, all.at(-1) ?? ""));
        all.push(...names);
        if (!more) return all;
      }
    },
  });

  // Events that a script makes: of bytes, of JSON, or without data.
  const isBinary = v => v instanceof ArrayBuffer || ArrayBuffer.isView(v);
  const ofData = data => isBinary(data) ? { datacontenttype: "application/octet-stream", data_base64: bytesOf(data).toBase64() }
    : data === undefined ? undefined : { datacontenttype: "application/json", data: typeof data === "object" && data !== null ? inJSON(data, "the data of the event") : data };
  const emitted = event => {
    if (event === null || typeof event !== "object") throw new TypeError(`an event is an object such as { type: "com.example.order", data }, not ${event === null ? "null" : typeof event}`);
    const { data, ...attributes } = typeof event.toJSON === "function" ? event.toJSON() : event;
    return { ...ofData(data), ...attributes };
  };

  // Functions that are invoked. A status of HTTP says what came of it: 200, 422 of one that rejected its event, and others of docs/invoke.md.
  const invoke = (name, data, attributes) => begin({
    op: "invoke", what: `invoke ${name}`, head: String(name), body: stringify({ type: "dev.evoke.invoke", ...ofData(data), ...attributes }),
    read(status, head, body, kind) {
      if (status === 200) return value(body, kind);
      throw Object.assign(new Error(`${this.what}: ${head}`), { verdict: status === 422 ? "rejected" : "failed", status });
    },
  });

  const context = Object.freeze({
    state,
    async secret(name) { return ask("secret.get", name); },
    env: Object.freeze(parse(host("env"))),
    emit(topic, event) {
      const problem = host("emit", String(topic), stringify(emitted(event)) ?? "");
      if (problem !== "") throw new Error(problem);
    },
    async invoke(name, data, attributes) { return invoke(name, data, attributes); },
    fetch: (input, init) => globalThis.fetch(input, init),
    log: Object.freeze({ debug: logWith("debug"), info: logWith("info"), warn: logWith("warn"), error: logWith("error") }),
    get deadline() { return new Date(Number(host("deadline"))); },
    get attempt() { return Number(host("attempt", String(number))); },
    reject: (reason = "") => Object.assign(new Error(reason instanceof Error ? reason.message || reason.name : shown(reason)), { reject: true }),
    retryAfter(ms, reason = "asked to be called again later") {
      if (!Number.isFinite(ms)) throw new TypeError(`retryAfter: the time is a number of milliseconds, not ${shown(ms)}`);
      return Object.assign(new Error(reason instanceof Error ? reason.message || reason.name : shown(reason)), { retryAfter: ms });
    },
    waitUntil(promise) { behind.push(promise); },
  });

  // The handler. A promise that is not settled yet is undefined to the runtime, which then runs jobs and asks again.
  const Pending = 0, Fulfilled = 1, Rejected = 2, Nothing = -1;
  let handler, settled, outcome, number = 0, behind = [];
  const isThenable = v => v !== null && typeof v === "object" && typeof v.then === "function";
  const isResponse = v => v !== null && typeof v === "object" && typeof v.arrayBuffer === "function" && typeof v.status === "number";
  const reply = v => {
    if (v === undefined || v === null) return null;
    if (typeof v === "string" || v instanceof ArrayBuffer) return v;
    if (ArrayBuffer.isView(v)) return v.buffer.slice(v.byteOffset, v.byteOffset + v.byteLength);
    return stringify(typeof v === "object" ? inJSON(v, "what the handler returned") : v) ?? null;
  };
  const respond = async response => {
    const { status } = response;
    if (!Number.isInteger(status) || status < 200 || status > 599) throw new TypeError(`the handler returned a Response with the status ${status}; those that can be sent are 200 to 599`);
    if (number === 0 && host("respond", stringify({ status, headers: [...response.headers] })) !== "") throw new TypeError("the headers of the Response are larger than 1 MiB");
    return response.arrayBuffer();
  };
  // finish waits for what the handler has left to be done, before there is a reply or it has failed.
  const finish = async (v, failed) => {
    const done = !failed && isResponse(v) ? await respond(v) : v;
    while (behind.length > 0) {
      const all = behind;
      behind = [];
      for (const { reason } of await Promise.allSettled(all)) if (reason !== undefined) host("log", "error", `waitUntil: ${shown(reason)}`);
    }
    if (failed) throw done;
    return done;
  };
  const end = (how, what) => {
    settled = how;
    outcome = what;
  };
  const follow = promise => {
    promise.then(v => {
      if (isResponse(v) || behind.length > 0) follow(finish(v));
      else end(Fulfilled, v);
    }, e => {
      if (behind.length > 0) follow(finish(e, true));
      else end(Rejected, e);
    });
  };
  const serve = main => async event => {
    const { request } = event;
    if (request === undefined) throw context.reject(`event ${stringify(event.id)} of type ${stringify(event.type)} is no HTTP request, and this function exports { fetch }: give it http triggers only, and call it by its URL`);
    const response = await main.fetch(request, context.env, context);
    if (!isResponse(response)) throw new TypeError(`fetch is to return a Response; it returned ${response === null ? "null" : typeof response}`);
    return response;
  };
  const start = (exports, mentioned) => {
    if (mentioned !== "") mentioned.split(" ").forEach(install);
    const main = exports.default;
    // A class or a generator says so at the deploy, and not with its first event.
    const kind = typeof main !== "function" ? "no function" : Object.getOwnPropertyDescriptor(main, "prototype")?.writable === false ? "a class" : main[Symbol.toStringTag]?.endsWith("GeneratorFunction") ? "a generator" : "";
    if (kind === "") handler = main;
    else if (typeof main?.fetch === "function") handler = serve(main);
    else throw new TypeError(`it has ${kind} as its default export; write export default function (event, context) { … }, or export default { fetch(request) { … } }`);
  };
  const handle = (raw, kind, n) => {
    settled = Pending;
    number = n;
    if (timers.length + queue.length + behind.length + open.size > 0) { // of the event before, or of the top-level code
      timers = [];
      queue = [];
      behind = [];
      open = new Map();
    }
    let v;
    try {
      v = handler(new Event(raw, kind, n), context);
    } catch (e) {
      if (behind.length === 0) throw e;
      v = finish(e, true);
    }
    if (isThenable(v)) follow(v);
    else if (isResponse(v) || behind.length > 0) follow(finish(v));
    else return reply(v);
  };
  const settle = () => {
    if (settled === Fulfilled) return reply(outcome);
    if (settled === Rejected) throw outcome;
    if (timers.length === 0) return Nothing;
    const next = timers.reduce((a, b) => b.at < a.at ? b : a);
    const wait = next.at - Date.now();
    if (wait > 0) return Math.min(Math.ceil(wait), 1e9) | 0;
    if (next.every < 0) forget(next.id); else next.at += next.every;
    next.f(...next.args);
    return 0;
  };
  ({ start, handle, settle, answered, explain, where });
}
