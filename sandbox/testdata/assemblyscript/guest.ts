// A native function in AssemblyScript, against docs/abi.md alone. The event's type says what it does.
import { config, DATA, DONE, emit, log, part, reject, reply, TYPE, WARN } from "./evoke";

// Made by initialisation: every event finds it so.
const capital = new StaticArray<u8>(256);
for (let i = 0; i < 256; i++) capital[i] = <u8>(i >= 97 && i <= 122 ? i - 32 : i);

function replyText(text: string): void {
  reply(String.UTF8.encode(text));
}

function upper(data: ArrayBuffer): void {
  const bytes = Uint8Array.wrap(data);
  for (let i = 0; i < bytes.length; i++) bytes[i] = capital[bytes[i]];
  reply(data);
}

function configured(name: ArrayBuffer): void {
  const value = config(name);
  if (value) reply(value);
  else replyText("absent");
}

// find counts how often a text is in memory. It is given backwards, so that its own copies do not count.
function find(backwards: Uint8Array): i32 {
  const len = backwards.length;
  const end = (<usize>memory.size() << 16) - len;
  let found = 0;
  for (let at: usize = 0; at <= end; at++) {
    let same = 0;
    while (same < len && load<u8>(at + same) == unchecked(backwards[len - 1 - same])) same++;
    if (same == len) found++;
  }
  return found;
}

function hide(data: ArrayBuffer): void {
  const backwards = Uint8Array.wrap(data);
  const copy = heap.alloc(backwards.length);
  const kept = memory.data(64);
  for (let i = 0; i < min(backwards.length, 64); i++) {
    const byte = backwards[backwards.length - 1 - i];
    store<u8>(copy + i, byte);
    store<u8>(kept + i, byte);
  }
  replyText(find(backwards).toString());
}

function recurse(n: i32): i32 {
  frames = n;
  return frames < 0 ? 0 : recurse(n + 1) + frames;
}
let frames = 0;

function hog(): void {
  const all: ArrayBuffer[] = [];
  while (true) all.push(new ArrayBuffer(1 << 20));
}

function spin(): void {
  while (true) frames++;
}

export function evoke_handle(): i32 {
  const type = String.UTF8.decode(part(TYPE));
  const data = part(DATA);
  if (type == "echo") reply(data);
  else if (type == "upper") upper(data);
  else if (type == "emit") emit("out", `{"type":"dev.test.emitted","data":"${String.UTF8.decode(data)}"}`);
  else if (type == "config") configured(data);
  else if (type == "log") log(WARN, String.UTF8.decode(data));
  else if (type == "random") replyText(Math.random().toString());
  else if (type == "hide") hide(data);
  else if (type == "search") replyText(find(Uint8Array.wrap(data)).toString());
  else if (type == "trap") throw new Error("out of cheese");
  else if (type == "hog") hog();
  else if (type == "recurse") recurse(1);
  else if (type == "loop") spin();
  else return reject(`no such type: ${type}`);
  return DONE;
}
