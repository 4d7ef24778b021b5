// Event, EventTarget and what aborts: https://dom.spec.whatwg.org/. There is no tree, so an event is at its target only.
(web => {
  "use strict";
  const { interfaces } = web;

  let dispatch; // an event at a target; what only the class itself sees
  class Event {
    #type; #bubbles; #cancelable; #composed;
    #target = null; #current = null; #phase = 0;
    #canceled = false; #stopped = false; #halted = false; #passive = false;
    #time = performance.now();
    constructor(type, init) {
      if (arguments.length === 0) throw new TypeError("Event: 1 argument is needed, its type");
      this.#type = String(type);
      this.#bubbles = Boolean(init?.bubbles);
      this.#cancelable = Boolean(init?.cancelable);
      this.#composed = Boolean(init?.composed);
    }
    get type() { return this.#type; }
    get target() { return this.#target; }
    get srcElement() { return this.#target; }
    get currentTarget() { return this.#current; }
    get eventPhase() { return this.#phase; }
    get bubbles() { return this.#bubbles; }
    get cancelable() { return this.#cancelable; }
    get composed() { return this.#composed; }
    get defaultPrevented() { return this.#canceled; }
    get returnValue() { return !this.#canceled; }
    get cancelBubble() { return this.#stopped; }
    get isTrusted() { return false; }
    get timeStamp() { return this.#time; }
    composedPath() { return this.#current === null ? [] : [this.#current]; }
    preventDefault() { if (this.#cancelable && !this.#passive) this.#canceled = true; }
    stopPropagation() { this.#stopped = true; }
    stopImmediatePropagation() { this.#stopped = this.#halted = true; }
    static {
      Object.assign(Event, { NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 });
      dispatch = (event, target, listeners) => {
        if (event.#current !== null) throw new DOMException("The event is being dispatched already", "InvalidStateError");
        event.#target = event.#current = target;
        event.#phase = 2;
        for (const l of listeners) {
          if (l.removed || l.type !== event.#type) continue;
          if (l.once) l.remove();
          event.#passive = l.passive;
          try {
            if (typeof l.f === "function") l.f.call(target, event); else l.f.handleEvent(event);
          } catch (e) {
            console.error(e); // it is not the dispatcher's, and nobody else is told
          }
          event.#passive = false;
          if (event.#halted) break;
        }
        event.#current = null;
        event.#phase = 0;
        event.#stopped = event.#halted = false;
        return !event.#canceled;
      };
    }
  }

  class CustomEvent extends Event {
    #detail;
    constructor(type, init) {
      super(...arguments);
      this.#detail = init?.detail ?? null;
    }
    get detail() { return this.#detail; }
  }

  class EventTarget {
    #listeners = [];
    addEventListener(type, f, options) {
      if (f === null || f === undefined) return;
      if (typeof f !== "function" && typeof f !== "object") throw new TypeError("EventTarget.addEventListener: a listener is a function or an object with handleEvent");
      type = String(type);
      const capture = Boolean(typeof options === "object" ? options?.capture : options);
      const { once, passive, signal } = Object(options);
      if (signal?.aborted || this.#listeners.some(l => l.type === type && l.f === f && l.capture === capture)) return;
      const listener = { type, f, capture, once: Boolean(once), passive: Boolean(passive), removed: false, remove: () => {
        listener.removed = true;
        this.#listeners = this.#listeners.filter(l => l !== listener);
      } };
      this.#listeners.push(listener);
      signal?.addEventListener("abort", listener.remove);
    }
    removeEventListener(type, f, options) {
      const capture = Boolean(typeof options === "object" ? options?.capture : options);
      this.#listeners.find(l => l.type === String(type) && l.f === f && l.capture === capture)?.remove();
    }
    dispatchEvent(event) {
      if (!(event instanceof Event)) throw new TypeError("EventTarget.dispatchEvent: its argument must be an Event");
      return dispatch(event, this, [...this.#listeners]);
    }
  }

  // on makes the attribute onNAME of a target, which is a listener in the place where it was first set.
  const on = (made, type) => {
    const handlers = new WeakMap();
    Object.defineProperty(made.prototype, "on" + type, {
      get() { return handlers.get(this)?.f ?? null; },
      set(f) {
        let h = handlers.get(this);
        if (h === undefined) {
          handlers.set(this, h = { f: null });
          this.addEventListener(type, e => h.f?.call(this, e));
        }
        h.f = typeof f === "function" ? f : null;
      },
      enumerable: true, configurable: true,
    });
  };

  const made = Symbol("made here");
  const aborted = () => new DOMException("The operation was aborted", "AbortError");
  let abort;
  class AbortSignal extends EventTarget {
    #aborted = false; #reason; #dependents = [];
    constructor(by) {
      if (by !== made) throw new TypeError("AbortSignal: there is no constructor; use new AbortController().signal, AbortSignal.abort(), .timeout() or .any()");
      super();
    }
    get aborted() { return this.#aborted; }
    get reason() { return this.#reason; }
    throwIfAborted() { if (this.#aborted) throw this.#reason; }
    static abort(reason) {
      const s = new AbortSignal(made);
      abort(s, reason);
      return s;
    }
    static timeout(ms) {
      ms = Number(ms);
      if (!(ms >= 0 && ms <= Number.MAX_SAFE_INTEGER)) throw new TypeError("AbortSignal.timeout: milliseconds are a number from 0 on");
      const s = new AbortSignal(made);
      setTimeout(() => abort(s, new DOMException("The operation timed out", "TimeoutError")), ms);
      return s;
    }
    static any(signals) {
      const s = new AbortSignal(made), all = [...signals];
      for (const one of all) if (!(one instanceof AbortSignal)) throw new TypeError("AbortSignal.any: each of its signals must be an AbortSignal");
      const over = all.find(one => one.#aborted);
      if (over !== undefined) abort(s, over.#reason);
      else for (const one of all) one.#dependents.push(s);
      return s;
    }
    static {
      abort = (signal, reason = aborted()) => {
        if (signal.#aborted) return;
        const all = [signal];
        for (const one of all) { // all are aborted before any of them says so
          one.#aborted = true;
          one.#reason = reason;
          all.push(...one.#dependents.filter(d => !d.#aborted && !all.includes(d)));
        }
        for (const one of all) one.dispatchEvent(new Event("abort"));
      };
    }
  }
  on(AbortSignal, "abort");

  class AbortController {
    #signal = new AbortSignal(made);
    get signal() { return this.#signal; }
    abort(reason) { abort(this.#signal, reason); }
  }

  return interfaces({ Event, CustomEvent, EventTarget, AbortSignal, AbortController });
})
