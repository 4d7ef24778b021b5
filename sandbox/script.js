// What a script finds beside its own code, and how the runtime calls it. It is part of every snapshot.
(() => {
  "use strict";
  const host = globalThis.__host;
  delete globalThis.__host;
  const { parse, stringify } = JSON, { String, Number, Error, TypeError, Math, Date } = globalThis;
  const own = (o, name, value) => Object.defineProperty(o, name, { value, writable: true, enumerable: true, configurable: true }) && value;

  // Exceptions. What a script throws says by `reject` and `retryAfter` what is to become of the event.
  const frames = e => typeof e?.stack === "string" ? e.stack.split("\n").map(l => l.trim()).filter(l => l && !l.includes("(evoke:") && !l.startsWith("at evoke:")) : [];
  const said = e => {
    try {
      return e instanceof Error || typeof e !== "object" ? String(e) : stringify(e);
    } catch {
      return "something that cannot be shown was thrown";
    }
  };
  const explain = e => {
    const reject = e?.reject === true;
    return stringify({
      reason: reject && e instanceof Error ? String(e.message) : said(e), // what is rejected is no error of the function's
      frames: frames(e).slice(0, 16),
      reject,
      retryAfter: Number.isFinite(e?.retryAfter) ? Math.max(0, Math.trunc(e.retryAfter)) : -1,
    });
  };
  const where = () => frames(new Error()).slice(0, 16).join("\n");

  // Logs.
  const shown = v => {
    if (typeof v === "string") return v;
    if (v instanceof Error) return [said(v), ...frames(v)].join("\n    ");
    try {
      return stringify(v) ?? String(v);
    } catch {
      return String(v);
    }
  };
  const log = level => (...values) => { host("log", level, values.map(shown).join(" ")); };
  globalThis.console = { debug: log("debug"), log: log("info"), info: log("info"), warn: log("warn"), error: log("error") };

  // Timers. Nothing else goes on while the script waits, so the runtime sleeps until the next one is due.
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
    bytesOf,
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
  };
  const groups = {}, lazy = new Set(), globals = parse(host("web.globals"));
  const isLazy = name => lazy.has(Object.getOwnPropertyDescriptor(globalThis, name)?.get);
  const put = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
  const install = group => {
    const made = web.use(group);
    for (const name of globals[group]) if (isLazy(name)) put(name, made[name]);
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

  // Events.
  const JSONData = 0;
  class Event {
    #raw; #kind; #number;
    constructor(raw, kind, number) { this.#raw = raw; this.#kind = kind; this.#number = String(number); }
    get data() { return own(this, "data", this.#kind === JSONData ? parse(this.#raw) : this.#raw); }
    get attributes() { return own(this, "attributes", parse(host("attributes", this.#number))); }
    get request() { const r = host("request", this.#number); return own(this, "request", r === undefined ? undefined : parse(r)); }
    get id() { return this.attributes.id; }
    get source() { return this.attributes.source; }
    get type() { return this.attributes.type; }
    get subject() { return this.attributes.subject; }
    get time() { return this.attributes.time; }
  }
  const ask = (op, name, value) => {
    const answer = host(op, String(name), value === undefined ? "" : value);
    if (answer[0] === "e") throw new Error(answer.slice(1));
    return answer[0] === "v" ? answer.slice(1) : undefined;
  };
  const state = Object.freeze({ // promises, so that they may take their time one day
    async get(name) { const v = ask("state.get", name); return v === undefined ? undefined : parse(v); },
    async set(name, value) {
      const text = stringify(value);
      if (text === undefined) throw new TypeError("a value of state must be JSON; state.delete removes one");
      ask("state.set", name, text);
    },
    async delete(name) { ask("state.delete", name); },
  });
  const context = Object.freeze({
    state,
    async secret(name) { return ask("secret.get", name); },
    env: Object.freeze(parse(host("env"))),
    emit(topic, event) {
      const problem = host("emit", String(topic), stringify(event) ?? "");
      if (problem !== "") throw new Error(problem);
    },
    reject: reason => Object.assign(new Error(reason), { reject: true }),
    retryAfter: (ms, reason = "asked to be called again later") => Object.assign(new Error(reason), { retryAfter: ms }),
  });

  // The handler. A promise that is not settled yet is undefined to the runtime, which then runs jobs and asks again.
  const Pending = 0, Fulfilled = 1, Rejected = 2, Nothing = -1;
  let handler, settled, outcome;
  const reply = v => {
    if (v === undefined || v === null) return null;
    if (typeof v === "string" || v instanceof ArrayBuffer) return v;
    if (ArrayBuffer.isView(v)) return v.buffer.slice(v.byteOffset, v.byteOffset + v.byteLength);
    return stringify(v) ?? null;
  };
  const start = (exports, mentioned) => {
    if (mentioned !== "") mentioned.split(" ").forEach(install);
    if (typeof exports.default !== "function") {
      throw new TypeError("it has no function as its default export; write export default function (event, context) { … }");
    }
    handler = exports.default;
  };
  const handle = (raw, kind, number) => {
    settled = Pending;
    const r = handler(new Event(raw, kind, number), context);
    if (r === null || typeof r !== "object" || typeof r.then !== "function") return reply(r);
    r.then(v => { settled = Fulfilled; outcome = v; }, e => { settled = Rejected; outcome = e; });
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
  return { start, handle, settle, explain, where };
})()
