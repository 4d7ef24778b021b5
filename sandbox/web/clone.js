// structuredClone: https://html.spec.whatwg.org/multipage/structured-data.html#structured-cloning
(web => {
  "use strict";
  const errors = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
  const cannot = what => { throw new DOMException(`structuredClone: ${what} cannot be cloned`, "DataCloneError"); };
  const tag = v => Object.prototype.toString.call(v).slice(8, -1);
  const internal = (get, v) => { // a built-in's own getter or method tells what an object is, whatever it says of itself
    try {
      get.call(v);
      return true;
    } catch {
      return false;
    }
  };
  const getter = (proto, name) => Object.getOwnPropertyDescriptor(proto, name).get;
  const kinds = [
    ["boolean", Boolean.prototype.valueOf], ["number", Number.prototype.valueOf], ["string", String.prototype.valueOf], ["bigint", BigInt.prototype.valueOf],
    ["date", Date.prototype.getTime], ["regexp", getter(RegExp.prototype, "source")], ["map", getter(Map.prototype, "size")], ["set", getter(Set.prototype, "size")],
    ["buffer", getter(ArrayBuffer.prototype, "byteLength")],
  ];
  const kindOf = v => {
    if (ArrayBuffer.isView(v)) return "view";
    if (Array.isArray(v)) return "array";
    if (Error.isError ? Error.isError(v) : v instanceof Error) return "error";
    const proto = Object.getPrototypeOf(v);
    if (proto === null || proto === Object.prototype) return "object";
    for (const [kind, get] of kinds) if (!(kind === "regexp" && v === RegExp.prototype) && internal(get, v)) return kind;
    if (v instanceof Promise || v instanceof WeakMap || v instanceof WeakSet || v instanceof WeakRef) return tag(v);
    for (const group of ["encoding", "url", "events", "streams", "fetch", "crypto"]) {
      for (const made of Object.values(web.made(group) ?? {})) if (typeof made === "function" && made.prototype !== undefined && v instanceof made) return made.name;
    }
    const blob = web.made("blob");
    if (blob !== undefined && v instanceof blob.Blob) return "immutable";
    return "object";
  };

  const clone = (v, seen) => {
    if (typeof v === "function") cannot(`the function ${v.name || "without a name"}`);
    if (typeof v === "symbol") cannot(String(v));
    if (v === null || typeof v !== "object") return v;
    if (seen.has(v)) return seen.get(v);
    const keep = made => { seen.set(v, made); return made; };
    const properties = (to, from) => {
      for (const key of Object.keys(from)) Object.defineProperty(to, key, { value: clone(from[key], seen), writable: true, enumerable: true, configurable: true });
      return to;
    };
    const kind = kindOf(v);
    switch (kind) {
    case "boolean": case "number": case "string": case "bigint": return keep(Object(v.valueOf()));
    case "date": return keep(new Date(v.getTime()));
    case "regexp": return keep(new RegExp(v.source, v.flags));
    case "buffer": return keep(v.slice(0));
    case "view": {
      const made = globalThis[tag(v)], buffer = clone(v.buffer, seen);
      return keep(new made(buffer, v.byteOffset, v instanceof DataView ? v.byteLength : v.length));
    }
    case "map": {
      const made = keep(new Map());
      for (const [key, value] of [...v]) made.set(clone(key, seen), clone(value, seen));
      return made;
    }
    case "set": {
      const made = keep(new Set());
      for (const value of [...v]) made.add(clone(value, seen));
      return made;
    }
    case "error": {
      const made = keep(new (errors[String(v.name)] ?? Error)(String(v.message)));
      if (typeof v.stack === "string") Object.defineProperty(made, "stack", { value: v.stack, writable: true, configurable: true });
      if (Object.hasOwn(v, "cause")) Object.defineProperty(made, "cause", { value: clone(v.cause, seen), writable: true, configurable: true });
      return made;
    }
    case "array": {
      const made = keep([]);
      made.length = v.length;
      return properties(made, v);
    }
    case "object": return properties(keep({}), v);
    case "immutable": return keep(v);
    }
    return cannot(`a ${kind}`);
  };

  const structuredClone = (value, options) => {
    const transfer = [...(options?.transfer ?? [])], seen = new Map();
    for (const t of transfer) {
      if (!(t instanceof ArrayBuffer)) cannot(`what is to be transferred and is no ArrayBuffer`);
      if (seen.has(t)) cannot("an ArrayBuffer that is transferred twice");
      if (t.detached) cannot("an ArrayBuffer that was transferred before");
      seen.set(t, t.slice(0));
    }
    const made = clone(value, seen);
    for (const t of transfer) t.transfer(); // which empties it, now that nothing can go wrong
    return made;
  };

  return { structuredClone };
})
