// ReadableStream: https://streams.spec.whatwg.org/, as much of it as bodies are made of: default readers and controllers, no byte streams, no pipes.
(web => {
  "use strict";
  const { interfaces } = web;

  class ReadableStreamDefaultController {
    #stream;
    constructor(stream) { this.#stream = stream; }
    get desiredSize() { return sizeWanted(this.#stream); }
    enqueue(chunk) { enqueue(this.#stream, chunk); }
    close() { close(this.#stream); }
    error(reason) { fail(this.#stream, reason); }
  }

  let sizeWanted, enqueue, close, fail, read, setReader, disturbedOf, closedOf;
  class ReadableStream {
    #source; #controller; #started; #size; #mark;
    #state = "readable"; #reason;
    #queue = []; #waiting = []; // chunks nobody has asked for, and readers for whom there is none
    #closing = false; #pulling = false; #again = false; #disturbed = false;
    #reader = null; #closed = Promise.withResolvers();
    constructor(source = {}, strategy = {}) {
      if (source === null || typeof source !== "object") throw new TypeError("ReadableStream: its source must be an object");
      if (source.type !== undefined) throw new TypeError(`ReadableStream: there are no streams of type ${JSON.stringify(String(source.type))}; leave type out, chunks may be Uint8Arrays`);
      this.#source = source;
      this.#mark = strategy.highWaterMark === undefined ? 1 : Number(strategy.highWaterMark);
      if (!(this.#mark >= 0)) throw new RangeError("ReadableStream: highWaterMark is a number from 0 on");
      this.#size = strategy.size ?? (() => 1);
      this.#controller = new ReadableStreamDefaultController(this);
      this.#closed.promise.catch(() => {}); // who wants to know asks a reader
      const begun = source.start?.(this.#controller);
      Promise.resolve(begun).then(() => { this.#started = true; this.#pull(); }, e => fail(this, e));
    }
    get locked() { return this.#reader !== null; }
    getReader(options) {
      if (options?.mode !== undefined) throw new TypeError("ReadableStream.getReader: there are no byte streams; leave mode out");
      return new ReadableStreamDefaultReader(this);
    }
    async cancel(reason) {
      if (this.locked) throw new TypeError("ReadableStream.cancel: the stream is locked by its reader");
      return this.#cancel(reason);
    }
    async #cancel(reason) {
      this.#disturbed = true;
      if (this.#state === "errored") throw this.#reason;
      if (this.#state === "closed") return;
      this.#queue = [];
      this.#end();
      await this.#source.cancel?.(reason);
    }
    tee() {
      const reader = this.getReader(), branches = [];
      const pull = async () => {
        const { done, value } = await reader.read();
        for (const b of branches) if (!b.over) { if (done) b.controller.close(); else b.controller.enqueue(value); }
      };
      for (let n = 0; n < 2; n++) {
        const b = { over: false };
        b.stream = new ReadableStream({
          start(controller) { b.controller = controller; },
          pull: () => pull().catch(e => branches.forEach(b => b.controller.error(e))),
          cancel: reason => { b.over = true; return branches.every(b => b.over) ? reader.cancel(reason) : undefined; },
        }, { highWaterMark: 0 });
        branches.push(b);
      }
      return branches.map(b => b.stream);
    }
    pipeTo() { throw new DOMException("ReadableStream.pipeTo: there are no writable streams; read with for await", "NotSupportedError"); }
    pipeThrough() { throw new DOMException("ReadableStream.pipeThrough: there are no transform streams; make a ReadableStream.from an async generator", "NotSupportedError"); }
    async *values(options) {
      const reader = this.getReader();
      let whole = false;
      try {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) { whole = true; return; }
          yield value;
        }
      } catch (e) {
        whole = true;
        throw e;
      } finally {
        const end = whole || options?.preventCancel ? undefined : reader.cancel();
        reader.releaseLock();
        await end;
      }
    }
    static from(iterable) {
      const iterator = iterable?.[Symbol.asyncIterator]?.() ?? iterable?.[Symbol.iterator]?.();
      if (iterator === undefined) throw new TypeError("ReadableStream.from: its argument must be iterable");
      return new ReadableStream({
        async pull(controller) {
          const { done, value } = await iterator.next();
          if (done) controller.close(); else controller.enqueue(await value);
        },
        cancel: reason => iterator.return?.(reason),
      }, { highWaterMark: 0 });
    }

    #pull() {
      if (!this.#started || this.#state !== "readable" || this.#closing || this.#waiting.length === 0 && sizeWanted(this) <= 0) return;
      if (this.#pulling) { this.#again = true; return; }
      if (this.#source.pull === undefined) return;
      this.#pulling = true;
      Promise.try(() => this.#source.pull(this.#controller)).then(() => {
        this.#pulling = false;
        if (this.#again) { this.#again = false; this.#pull(); }
      }, e => fail(this, e));
    }
    #end() {
      this.#state = "closed";
      for (const w of this.#waiting.splice(0)) w.resolve({ done: true, value: undefined });
      this.#closed.resolve();
    }
    static {
      sizeWanted = s => s.#state === "errored" ? null : s.#state === "closed" ? 0 : s.#mark - s.#queue.reduce((sum, c) => sum + c.size, 0);
      enqueue = (s, value) => {
        if (s.#state !== "readable" || s.#closing) throw new TypeError("ReadableStream: a chunk after its end");
        if (s.#waiting.length > 0) s.#waiting.shift().resolve({ done: false, value });
        else s.#queue.push({ value, size: Number(s.#size(value)) });
        s.#pull();
      };
      close = s => {
        if (s.#state !== "readable" || s.#closing) throw new TypeError("ReadableStream: it is closed already");
        if (s.#queue.length > 0) s.#closing = true; else s.#end();
      };
      fail = (s, reason) => {
        if (s.#state !== "readable") return;
        s.#state = "errored";
        s.#reason = reason;
        s.#queue = [];
        for (const w of s.#waiting.splice(0)) w.reject(reason);
        s.#closed.reject(reason);
      };
      read = s => {
        s.#disturbed = true;
        if (s.#state === "errored") return Promise.reject(s.#reason);
        if (s.#queue.length > 0) {
          const { value } = s.#queue.shift();
          if (s.#queue.length === 0 && s.#closing) s.#end(); else s.#pull();
          return Promise.resolve({ done: false, value });
        }
        if (s.#state === "closed") return Promise.resolve({ done: true, value: undefined });
        const w = Promise.withResolvers();
        s.#waiting.push(w);
        s.#pull();
        return w.promise;
      };
      setReader = (s, reader) => {
        if (reader !== null && s.#reader !== null) throw new TypeError("ReadableStream.getReader: the stream is locked by another reader");
        if (reader === null) for (const w of s.#waiting.splice(0)) w.reject(new TypeError("ReadableStreamDefaultReader: it was released"));
        s.#reader = reader;
        return (reason) => s.#cancel(reason);
      };
      disturbedOf = s => s.#disturbed;
      closedOf = s => s.#closed.promise;
    }
  }
  Object.defineProperty(ReadableStream.prototype, Symbol.asyncIterator, { value: ReadableStream.prototype.values, writable: true, configurable: true });

  class ReadableStreamDefaultReader {
    #stream; #cancel;
    constructor(stream) {
      if (!(stream instanceof ReadableStream)) throw new TypeError("ReadableStreamDefaultReader: its argument must be a ReadableStream");
      this.#cancel = setReader(stream, this);
      this.#stream = stream;
    }
    #held() {
      if (this.#stream === undefined) throw new TypeError("ReadableStreamDefaultReader: it was released");
      return this.#stream;
    }
    get closed() { return this.#stream === undefined ? Promise.reject(new TypeError("ReadableStreamDefaultReader: it was released")) : closedOf(this.#stream); }
    async read() { return read(this.#held()); }
    async cancel(reason) { this.#held(); return this.#cancel(reason); }
    releaseLock() {
      if (this.#stream === undefined) return;
      setReader(this.#stream, null);
      this.#stream = undefined;
    }
  }

  return { ...interfaces({ ReadableStream, ReadableStreamDefaultReader, ReadableStreamDefaultController }), disturbed: s => disturbedOf(s) };
})
