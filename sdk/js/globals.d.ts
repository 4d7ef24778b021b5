// The globals that functions find beside those of ECMAScript. Where other types declare them already (the library DOM, @types/node), theirs count.

/** Types of arguments, which have no names of their own where functions run. */
declare namespace Evoke {
  type HeadersInit = [string, string][] | Record<string, string> | Headers;
  type BodyInit = string | ArrayBuffer | ArrayBufferView<ArrayBuffer> | URLSearchParams;
  type BufferSource = ArrayBuffer | ArrayBufferView<ArrayBuffer>;
  type Algorithm = string | { name: string };
  type KeyUsage = "decrypt" | "deriveBits" | "deriveKey" | "encrypt" | "sign" | "unwrapKey" | "verify" | "wrapKey";
  type Listener = ((event: any) => void) | { handleEvent(event: any): void } | null;

  interface RequestInit {
    method?: string;
    headers?: HeadersInit;
    body?: BodyInit | null;
    redirect?: "follow" | "error" | "manual";
    signal?: AbortSignal | null;
  }

  interface ResponseInit {
    status?: number;
    statusText?: string;
    headers?: HeadersInit;
  }
}

// Text and data.

interface TextEncoder {
  readonly encoding: string;
  encode(input?: string): Uint8Array<ArrayBuffer>;
  encodeInto(source: string, destination: Uint8Array): { read: number; written: number };
}
declare var TextEncoder: typeof globalThis extends { onmessage: any; TextEncoder: infer T } ? T : { prototype: TextEncoder; new (): TextEncoder };

interface TextDecoder {
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(input?: ArrayBuffer | ArrayBufferView, options?: { stream?: boolean }): string;
}
declare var TextDecoder: typeof globalThis extends { onmessage: any; TextDecoder: infer T } ? T : { prototype: TextDecoder; new (label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean }): TextDecoder };

declare function atob(data: string): string;
declare function btoa(data: string): string;
declare function structuredClone<T = any>(value: T, options?: { transfer?: any[] }): T;

// Addresses.

interface URL {
  hash: string;
  host: string;
  hostname: string;
  href: string;
  readonly origin: string;
  password: string;
  pathname: string;
  port: string;
  protocol: string;
  search: string;
  readonly searchParams: URLSearchParams;
  username: string;
  toString(): string;
  toJSON(): string;
}
declare var URL: typeof globalThis extends { onmessage: any; URL: infer T } ? T : {
  prototype: URL;
  new (url: string | URL, base?: string | URL): URL;
  canParse(url: string | URL, base?: string | URL): boolean;
  parse(url: string | URL, base?: string | URL): URL | null;
};

interface URLSearchParams {
  readonly size: number;
  append(name: string, value: string): void;
  delete(name: string, value?: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string, value?: string): boolean;
  set(name: string, value: string): void;
  sort(): void;
  toString(): string;
  forEach(callback: (value: string, key: string, parent: URLSearchParams) => void, thisArg?: any): void;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  entries(): IterableIterator<[string, string]>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}
declare var URLSearchParams: typeof globalThis extends { onmessage: any; URLSearchParams: infer T } ? T : {
  prototype: URLSearchParams;
  new (init?: string | string[][] | Record<string, string> | URLSearchParams): URLSearchParams;
};

// HTTP.

interface Headers {
  append(name: string, value: string): void;
  delete(name: string): void;
  get(name: string): string | null;
  getSetCookie(): string[];
  has(name: string): boolean;
  set(name: string, value: string): void;
  forEach(callback: (value: string, key: string, parent: Headers) => void, thisArg?: any): void;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  entries(): IterableIterator<[string, string]>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}
declare var Headers: typeof globalThis extends { onmessage: any; Headers: infer T } ? T : { prototype: Headers; new (init?: Evoke.HeadersInit): Headers };

interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly redirect: "follow" | "error" | "manual";
  readonly signal: AbortSignal;
  readonly bodyUsed: boolean;
  clone(): Request;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  json(): Promise<any>;
  text(): Promise<string>;
}
declare var Request: typeof globalThis extends { onmessage: any; Request: infer T } ? T : { prototype: Request; new (input: Request | string | URL, init?: Evoke.RequestInit): Request };

interface Response {
  readonly ok: boolean;
  readonly redirected: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly url: string;
  readonly headers: Headers;
  readonly bodyUsed: boolean;
  clone(): Response;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  json(): Promise<any>;
  text(): Promise<string>;
}
declare var Response: typeof globalThis extends { onmessage: any; Response: infer T } ? T : {
  prototype: Response;
  new (body?: Evoke.BodyInit | null, init?: Evoke.ResponseInit): Response;
  error(): Response;
  json(data: any, init?: Evoke.ResponseInit): Response;
  redirect(url: string | URL, status?: number): Response;
};

/** Sends a request to a host that `allow: { http: […] }` of fn.yaml lists. */
declare function fetch(input: Request | string | URL, init?: Evoke.RequestInit): Promise<Response>;

// Events and cancellation.

interface Event {
  readonly type: string;
  readonly target: EventTarget | null;
  readonly currentTarget: EventTarget | null;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  readonly defaultPrevented: boolean;
  readonly timeStamp: number;
  preventDefault(): void;
  stopImmediatePropagation(): void;
  stopPropagation(): void;
}
declare var Event: typeof globalThis extends { onmessage: any; Event: infer T } ? T : { prototype: Event; new (type: string, init?: { bubbles?: boolean; cancelable?: boolean; composed?: boolean }): Event };

interface EventTarget {
  addEventListener(type: string, listener: Evoke.Listener, options?: boolean | { once?: boolean; signal?: AbortSignal }): void;
  removeEventListener(type: string, listener: Evoke.Listener, options?: boolean | {}): void;
  dispatchEvent(event: Event): boolean;
}
declare var EventTarget: typeof globalThis extends { onmessage: any; EventTarget: infer T } ? T : { prototype: EventTarget; new (): EventTarget };

interface AbortSignal extends EventTarget {
  readonly aborted: boolean;
  readonly reason: any;
  onabort: ((this: AbortSignal, event: Event) => any) | null;
  throwIfAborted(): void;
}
declare var AbortSignal: typeof globalThis extends { onmessage: any; AbortSignal: infer T } ? T : {
  prototype: AbortSignal;
  abort(reason?: any): AbortSignal;
  any(signals: AbortSignal[]): AbortSignal;
  timeout(milliseconds: number): AbortSignal;
};

interface AbortController {
  readonly signal: AbortSignal;
  abort(reason?: any): void;
}
declare var AbortController: typeof globalThis extends { onmessage: any; AbortController: infer T } ? T : { prototype: AbortController; new (): AbortController };

interface DOMException extends Error {
  readonly code: number;
}
declare var DOMException: typeof globalThis extends { onmessage: any; DOMException: infer T } ? T : { prototype: DOMException; new (message?: string, name?: string): DOMException };

// Cryptography.

interface Crypto {
  readonly subtle: SubtleCrypto;
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  randomUUID(): `${string}-${string}-${string}-${string}-${string}`;
}
declare var crypto: typeof globalThis extends { onmessage: any; crypto: infer T } ? T : Crypto;

interface CryptoKey {
  readonly algorithm: { name: string };
  readonly extractable: boolean;
  readonly type: "private" | "public" | "secret";
  readonly usages: Evoke.KeyUsage[];
}

/** Digests, HMAC, and what verifies signatures. What the engine does not have rejects with a `NotSupportedError`. */
interface SubtleCrypto {
  digest(algorithm: Evoke.Algorithm, data: Evoke.BufferSource): Promise<ArrayBuffer>;
  importKey(format: "jwk" | "pkcs8" | "raw" | "spki", keyData: any, algorithm: Evoke.Algorithm & { hash?: Evoke.Algorithm; namedCurve?: string }, extractable: boolean, keyUsages: Evoke.KeyUsage[]): Promise<CryptoKey>;
  sign(algorithm: Evoke.Algorithm, key: CryptoKey, data: Evoke.BufferSource): Promise<ArrayBuffer>;
  verify(algorithm: Evoke.Algorithm & { hash?: Evoke.Algorithm }, key: CryptoKey, signature: Evoke.BufferSource, data: Evoke.BufferSource): Promise<boolean>;
}

// Time, logs, and where it runs.

declare function setTimeout<A extends any[]>(callback: (...args: A) => void, ms?: number, ...args: A): number;
declare function setInterval<A extends any[]>(callback: (...args: A) => void, ms?: number, ...args: A): number;
declare function clearTimeout(id: number | undefined): void;
declare function clearInterval(id: number | undefined): void;
declare function queueMicrotask(callback: () => void): void;

interface Performance {
  readonly timeOrigin: number;
  now(): number;
}
declare var performance: typeof globalThis extends { onmessage: any; performance: infer T } ? T : Performance;

interface Console {
  assert(condition?: boolean, ...data: any[]): void;
  clear(): void;
  count(label?: string): void;
  countReset(label?: string): void;
  debug(...data: any[]): void;
  dir(item?: any, options?: any): void;
  dirxml(...data: any[]): void;
  error(...data: any[]): void;
  group(...data: any[]): void;
  groupCollapsed(...data: any[]): void;
  groupEnd(): void;
  info(...data: any[]): void;
  log(...data: any[]): void;
  table(tabularData?: any, properties?: string[]): void;
  time(label?: string): void;
  timeEnd(label?: string): void;
  timeLog(label?: string, ...data: any[]): void;
  trace(...data: any[]): void;
  warn(...data: any[]): void;
}
declare var console: typeof globalThis extends { onmessage: any; console: infer T } ? T : Console;

interface Navigator {
  readonly userAgent: string;
}
declare var navigator: typeof globalThis extends { onmessage: any; navigator: infer T } ? T : Navigator;

declare var self: typeof globalThis extends { onmessage: any; self: infer T } ? T : typeof globalThis;
