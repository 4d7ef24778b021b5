// The imports of docs/abi.md, and what AssemblyScript asks of its surroundings, put on them.

export const DATA: u32 = 0;
export const TYPE: u32 = 18;
export const WARN: i32 = 4;
export const ERROR: i32 = 8;
export const DONE: i32 = 0;
export const REJECTED: i32 = 2;

// @ts-ignore: decorator
@external("evoke_v1", "event_len") declare function event_len(event: u32, part: u32): i32;
// @ts-ignore: decorator
@external("evoke_v1", "event_read") declare function event_read(event: u32, part: u32, off: u32, to: usize, len: u32): i32;
// @ts-ignore: decorator
@external("evoke_v1", "reply") declare function host_reply(part: u32, from: usize, len: u32): i32;
// @ts-ignore: decorator
@external("evoke_v1", "emit") declare function host_emit(topic: usize, topicLen: u32, event: usize, eventLen: u32): i32;
// @ts-ignore: decorator
@external("evoke_v1", "verdict") declare function verdict(event: i32, verdict: u32, retryAfterMs: i64, reason: usize, len: u32): i32;
// @ts-ignore: decorator
@external("evoke_v1", "log") declare function host_log(level: i32, text: usize, len: u32): void;
// @ts-ignore: decorator
@external("evoke_v1", "call") declare function call(operation: usize, operationLen: u32, request: usize, requestLen: u32): i32;
// @ts-ignore: decorator
@external("evoke_v1", "call_wait") declare function call_wait(handle: i32, timeoutMs: i64): i64;
// @ts-ignore: decorator
@external("evoke_v1", "call_len") declare function call_len(handle: i32): i32;
// @ts-ignore: decorator
@external("evoke_v1", "call_read") declare function call_read(handle: i32, off: u32, to: usize, len: u32): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "random_get") declare function random_get(to: usize, len: usize): i32;

/** A part of the event; empty when the event does not have it. */
export function part(number: u32): ArrayBuffer {
  const bytes = new ArrayBuffer(max(event_len(0, number), 0));
  event_read(0, number, 0, changetype<usize>(bytes), bytes.byteLength);
  return bytes;
}

export function reply(data: ArrayBuffer): void {
  host_reply(0, changetype<usize>(data), data.byteLength);
}

export function emit(topic: string, event: string): i32 {
  const t = String.UTF8.encode(topic);
  const e = String.UTF8.encode(event);
  return host_emit(changetype<usize>(t), t.byteLength, changetype<usize>(e), e.byteLength);
}

export function reject(reason: string): i32 {
  const bytes = String.UTF8.encode(reason);
  verdict(0, REJECTED, -1, changetype<usize>(bytes), bytes.byteLength);
  return REJECTED;
}

export function log(level: i32, text: string): void {
  const bytes = String.UTF8.encode(text);
  host_log(level, changetype<usize>(bytes), bytes.byteLength);
}

/** An entry of the function's env, or null. */
export function config(name: ArrayBuffer): ArrayBuffer | null {
  const get = String.UTF8.encode("config.get");
  const handle = call(changetype<usize>(get), get.byteLength, changetype<usize>(name), name.byteLength);
  if (<i32>call_wait(handle, -1) != 200) return null;
  const value = new ArrayBuffer(call_len(handle));
  call_read(handle, 0, changetype<usize>(value), value.byteLength);
  return value;
}

// --use seed=evoke/seed: what Math.random begins with. It is called when the first number is drawn.
export function seed(): f64 {
  const at = memory.data(8);
  random_get(at, 8);
  return <f64>load<u64>(at);
}

// --use abort=evoke/abort: what throw and a failed assertion end in.
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  log(ERROR, `${message ? message : "abort"} in ${file ? file : "?"}(${line}:${column})`);
  unreachable();
}
