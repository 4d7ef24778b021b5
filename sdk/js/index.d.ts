/// <reference path="./globals.d.ts" />

/** An event that a function handles: a CloudEvent. `T` is what its data are; nobody has checked that they are. */
export interface Event<T = any> {
  /**
   * The data: a value when the content type is JSON or there is none, text when it is `text/…`, a form or XML, else an `ArrayBuffer`; `undefined` without data.
   * It is parsed when it is first looked at, and data that are not what their content type says throw then.
   */
  readonly data: T;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  /** RFC 3339, as `2026-01-31T12:00:00Z`. */
  readonly time?: string;
  /** All attributes, with extensions. */
  readonly attributes: Readonly<Record<string, string | number | boolean | undefined>>;
  /** The request, when the event is a plain HTTP request. */
  readonly request?: HttpRequest;
  /** The data as text, whatever their content type. */
  text(): string;
  /** The data as they came. */
  bytes(): Uint8Array<ArrayBuffer>;
  /** The event in the JSON format of CloudEvents; data that are bytes are `data_base64`. */
  toJSON(): Record<string, unknown>;
}

/** A `Request` that came by a route. */
export interface HttpRequest extends Request {
  /** The parts of the path that the route names: of `/orders/{id}` there is `params.id`. */
  readonly params: Readonly<Record<string, string>>;
}

/** What a function may do while it handles an event. fn.yaml says what of it is allowed. */
export interface Context {
  /** The variables of `env:`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** When the event's time is over. */
  readonly deadline: Date;
  /** Which try of the event this is, from 1. */
  readonly attempt: number;
  /** Emits an event to a topic that `allow: { emit: […] }` lists; throws when it may not. It becomes real with the event's success, and only then. */
  emit(topic: string, event: NewEvent): void;
  /** State of the event's key, with `allow: { state: true }`. What is written becomes real with the event's success. */
  readonly state: State;
  /** The newest value of a secret that `secrets:` lists; `undefined` when none is set. */
  secret(name: string): Promise<string | undefined>;
  /** Requests to hosts that `allow: { http: […] }` lists; the same as the global one. */
  readonly fetch: typeof fetch;
  /** Runs a function that `allow: { invoke: […] }` lists and answers its reply, parsed as `event.data` is. Rejects with an {@link InvokeError}. */
  invoke<R = any>(name: string, data?: unknown, options?: InvokeOptions): Promise<R>;
  /** Lines for `fnctl logs`. */
  readonly log: Log;
  /** An error to throw when the event is bad: it is not tried again. */
  reject(reason: string): Error;
  /** An error to throw when the event shall be tried again after a time, in milliseconds. */
  retryAfter(ms: number, reason?: string): Error;
  /** Keeps the event going until the promise has settled. */
  waitUntil(promise: Promise<unknown>): void;
}

/** An event to emit. What is left out is filled in. */
export interface NewEvent {
  type: string;
  data?: unknown;
  id?: string;
  source?: string;
  subject?: string;
  time?: string;
  datacontenttype?: string;
  dataschema?: string;
  /** Extensions: lower-case letters and digits. */
  [extension: string]: unknown;
}

/** Keyed state. Values are JSON. */
export interface State {
  get<V = any>(name: string): Promise<V | undefined>;
  set(name: string, value: unknown): Promise<void>;
  delete(name: string): Promise<void>;
  /** The names that begin with prefix, in the order of their bytes, with what the handler wrote before; at most 10,000 for an event. */
  list(prefix?: string): Promise<string[]>;
}

export interface Log {
  debug(message: string, attributes?: Record<string, unknown>): void;
  info(message: string, attributes?: Record<string, unknown>): void;
  warn(message: string, attributes?: Record<string, unknown>): void;
  error(message: string, attributes?: Record<string, unknown>): void;
}

/** Attributes of the event that is made for a function that is invoked. */
export interface InvokeOptions {
  type?: string;
  subject?: string;
  [extension: string]: unknown;
}

/** Why an invoked function gave no reply. */
export interface InvokeError extends Error {
  readonly verdict: "failed" | "rejected";
  /** As in HTTP: 422 when the function rejected the event, 403 when it may not be invoked. */
  readonly status: number;
}

/**
 * A handler. What it returns is the reply: a `Response`, text, bytes, nothing for `undefined` and `null`, everything else as JSON. What it throws fails the attempt,
 * which is tried again as fn.yaml says.
 */
export type Handler<T = any> = (event: Event<T>, context: Context) => unknown;

/** An application of HTTP as Hono and others export it: `export default app`. */
export interface App {
  fetch(request: Request, env: Readonly<Record<string, string | undefined>>, context: Context): Response | Promise<Response>;
}

/** Gives a handler its types: `export default handle<Order>(async (event, context) => …)`. */
export declare function handle<T = any>(handler: Handler<T>): Handler<T>;

/** An error to throw when the event is bad: it is not tried again. The same as `context.reject`, for code that has no context. */
export declare function reject(reason: string): Error;

/** An error to throw when the event shall be tried again after a time, in milliseconds. The same as `context.retryAfter`. */
export declare function retryAfter(ms: number, reason?: string): Error;
