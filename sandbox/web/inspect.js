// What console shows of values that are no texts: JSON, and for what JSON has no words, words like those of Node. It makes no globals.
(web => {
  "use strict";
  const { stringify } = JSON;
  const most = 100, deepest = 8, longest = 16384; // items of a list, objects in objects, characters

  const kindOf = v => {
    const made = Object.getPrototypeOf(v)?.constructor?.name;
    const tag = v[Symbol.toStringTag];
    return typeof tag === "string" && tag !== "" ? tag : typeof made === "string" && made !== "" ? made : "Object";
  };
  const functionText = f => /^class\b/.test(Function.prototype.toString.call(f)) ? `[class ${f.name || "without a name"}]` : f.name ? `[Function: ${f.name}]` : "[Function]";

  // inspect puts one value into words. What it throws itself, such as a getter does, it says where it was.
  const inspect = (top, quoted) => {
    const above = [];
    let room = longest;
    const list = (open, count, each, close) => {
      const parts = [];
      let n = 0;
      for (; n < count && n < most && room > 0; n++) {
        const part = each(n);
        room -= part.length;
        parts.push(part);
      }
      if (n < count) parts.push(`… ${count - n} more`);
      return open + parts.join(",") + close;
    };
    const property = (v, key) => {
      let text;
      try {
        text = show(v[key]);
      } catch (e) {
        text = `[it throws ${e instanceof Error ? String(e) : typeof e}]`;
      }
      return `${typeof key === "symbol" ? `[${String(key)}]` : stringify(key)}:${text}`;
    };
    const keysOf = v => [...Object.keys(v), ...Object.getOwnPropertySymbols(v).filter(key => Object.getOwnPropertyDescriptor(v, key)?.enumerable)];
    // Objects of the platform have their properties in their classes, where they are enumerable.
    const accessorsOf = v => {
      const found = [];
      for (let p = Object.getPrototypeOf(v); p !== null && p !== Object.prototype; p = Object.getPrototypeOf(p)) {
        for (const [key, d] of Object.entries(Object.getOwnPropertyDescriptors(p))) if (d.enumerable && d.get && key !== "body" && v[key] !== null && v[key] !== undefined) found.push(key);
      }
      return found;
    };
    const properties = (v, name, keys) => list(`${name === "Object" ? "" : name + " "}{`, keys.length, n => property(v, keys[n]), "}");
    // of goes over what a collection has, of which there may be much more than is shown.
    const of = (items, open, size, each) => {
      const rest = items[Symbol.iterator]();
      return list(open, size, () => each(rest.next().value), "}");
    };
    const pair = ([key, value]) => `${show(key)} => ${show(value)}`;
    const error = e => {
      const lines = [String(e), ...web.frames(e)];
      for (const key of keysOf(e)) if (key !== "name" && key !== "message" && key !== "stack" && key !== "cause" && key !== "errors") lines.push(property(e, key).replace(/^"(\w+)":/, "$1: "));
      if (Array.isArray(e.errors)) for (const one of e.errors.slice(0, most)) lines.push(show(one));
      if (e.cause !== undefined) lines.push(`cause: ${show(e.cause)}`);
      return lines.map(line => line.replaceAll("\n", "\n    ")).join("\n    ");
    };
    const object = v => {
      const kind = kindOf(v);
      if (v instanceof Error) return error(v);
      if (Array.isArray(v)) return list("[", v.length, n => n in v ? show(v[n]) : "empty", "]");
      if (v instanceof Map) return of(v, `Map(${v.size}) {`, v.size, pair);
      if (v instanceof Set) return of(v, `Set(${v.size}) {`, v.size, show);
      if (v instanceof ArrayBuffer || ArrayBuffer.isView(v)) {
        const items = v instanceof ArrayBuffer || v instanceof DataView ? web.bytesOf(v, "console") : v;
        return list(`${kind}(${items.length}) [`, items.length, n => show(items[n]), "]");
      }
      if (v instanceof Date && Number.isNaN(v.getTime())) return "Invalid Date";
      if (v instanceof RegExp) return String(v);
      if (v instanceof Number || v instanceof String || v instanceof Boolean || v instanceof BigInt || v instanceof Symbol) return `[${kind}: ${show(v.valueOf())}]`;
      if (typeof v.toJSON === "function") {
        try {
          const said = v.toJSON();
          return above.length === 1 && !quoted && typeof said === "string" ? said : show(said);
        } catch { /* then what it has is shown */ }
      }
      if (typeof v.entries === "function" && /^(Headers|URLSearchParams|FormData)$/.test(kind)) return of(v.entries(), `${kind} {`, [...v.keys()].length, pair);
      return properties(v, kind, [...keysOf(v), ...accessorsOf(v)]);
    };
    const show = v => {
      if (typeof v === "string") return v.length > room ? `${stringify(v.slice(0, Math.max(0, room)))}… ${v.length - Math.max(0, room)} more` : stringify(v);
      if (typeof v === "function") return functionText(v);
      if (typeof v !== "object" || v === null) return web.simple(v);
      if (above.includes(v)) return "[Circular]";
      if (above.length >= deepest || room <= 0) return `[${kindOf(v)}]`;
      above.push(v);
      try {
        return object(v);
      } catch (e) {
        return `[it throws ${e instanceof Error ? String(e) : typeof e}]`;
      } finally {
        above.pop();
      }
    };
    return show(top);
  };

  const text = v => typeof v === "string" ? v : inspect(v, false);

  // format is what console does with a first text that has places for the values behind it.
  const format = (first, values) => {
    let used = 0;
    const filled = first.replace(/%[sdifjoOc%]/g, place => {
      if (place === "%%") return "%";
      if (used === values.length) return place;
      const v = values[used++];
      switch (place[1]) {
        case "c": return "";
        case "s": return text(v);
        case "d": return typeof v === "bigint" ? `${v}n` : typeof v === "symbol" ? "NaN" : String(Number(v));
        case "i": return typeof v === "bigint" ? `${v}n` : typeof v === "symbol" ? "NaN" : String(Number.parseInt(v, 10));
        case "f": return typeof v === "symbol" ? "NaN" : String(Number.parseFloat(v));
        default: return inspect(v, true);
      }
    });
    return [filled, ...values.slice(used).map(text)].join(" ");
  };

  // What console has beside the five levels. Groups are not indented: lines of events that run at the same time are between them anyway.
  const timers = new Map(), counts = new Map();
  const elapsed = (label, values) => timers.has(label) ? console.log(`${label}: ${Date.now() - timers.get(label)}ms`, ...values) : console.warn(`console: there is no timer ${stringify(label)}`);
  const more = {
    dir: v => console.log(v), dirxml: (...values) => console.log(...values), table: v => console.log(v),
    group: (...values) => { if (values.length > 0) console.log(...values); }, groupCollapsed: (...values) => more.group(...values), groupEnd: () => {}, clear: () => {},
    trace: (...values) => console.info([values.length > 0 ? `Trace: ${text(values[0])}` : "Trace", ...values.slice(1).map(text)].join(" ") + ["", ...web.frames(new Error())].join("\n    ")),
    assert: (holds, ...values) => { if (!holds) console.error(["Assertion failed", ...values.map(text)].join(values.length > 0 ? ": " : "")); },
    time: (label = "default") => { timers.set(String(label), Date.now()); },
    timeLog: (label = "default", ...values) => { elapsed(String(label), values); },
    timeEnd: (label = "default") => { elapsed(String(label), []); timers.delete(String(label)); },
    count: (label = "default") => { counts.set(String(label), (counts.get(String(label)) ?? 0) + 1); console.log(`${label}: ${counts.get(String(label))}`); },
    countReset: (label = "default") => { counts.delete(String(label)); },
  };

  // behind names the errors that an error was made of.
  const behind = (e, depth = 0) => {
    if (!(e instanceof Error) || depth === 5) return "";
    const errors = Array.isArray(e.errors) ? e.errors.filter(one => one instanceof Error).slice(0, 5).map(String) : [];
    return (errors.length > 0 ? ` (${errors.join("; ")})` : "") + (e.cause === undefined || e.cause === null ? "" : ` (cause: ${e.cause instanceof Error ? String(e.cause) + behind(e.cause, depth + 1) : text(e.cause)})`);
  };

  // refuse throws when a value is one that JSON leaves empty.
  const instead = {
    Promise: "await it", Map: "Object.fromEntries(it) is an object", Set: "[...it] is an array", Generator: "[...it] is an array", AsyncGenerator: "await Array.fromAsync(it) is an array", Error: "throw it, or take its message",
    WeakMap: "", WeakSet: "", WeakRef: "", Blob: "as a reply, return new Response(it)", Headers: "Object.fromEntries(it) is an object", Request: "", Response: "",
  };
  instead.File = instead.FormData = instead.ReadableStream = instead.Blob;
  instead.URLSearchParams = instead.Headers;
  const refuse = (v, who) => {
    const kind = v instanceof Error ? "Error" : Object.prototype.toString.call(v).slice(8, -1);
    if (typeof v.toJSON === "function" || !Object.hasOwn(instead, kind)) return;
    throw new TypeError(`${who} is ${/^[AE]/.test(kind) ? "an" : "a"} ${kind}, of which JSON would keep nothing${instead[kind] && "; " + instead[kind]}`);
  };

  return { text, format, more, behind, refuse };
})
