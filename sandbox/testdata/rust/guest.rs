//! A native function in Rust, against docs/abi.md alone. The event's type says what it does.

use std::alloc::{alloc, Layout};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::ptr::{addr_of_mut, read_volatile, write_volatile};
use std::time::Duration;

#[link(wasm_import_module = "evoke_v1")]
extern "C" {
    fn event_len(event: u32, part: u32) -> i32;
    fn event_read(event: u32, part: u32, off: u32, to: *mut u8, len: u32) -> i32;
    #[link_name = "reply"]
    fn host_reply(part: u32, from: *const u8, len: u32) -> i32;
    #[link_name = "emit"]
    fn host_emit(topic: *const u8, topic_len: u32, event: *const u8, event_len: u32) -> i32;
    fn verdict(event: i32, verdict: u32, retry_after_ms: i64, reason: *const u8, len: u32) -> i32;
    fn log(level: i32, text: *const u8, len: u32);
    fn call(operation: *const u8, operation_len: u32, request: *const u8, request_len: u32) -> i32;
    fn call_wait(handle: i32, timeout_ms: i64) -> i64;
    fn call_len(handle: i32) -> i32;
    fn call_read(handle: i32, off: u32, to: *mut u8, len: u32) -> i32;
}

const PART_DATA: u32 = 0;
const PART_TYPE: u32 = 18;
const WARN: i32 = 4;
const DONE: i32 = 0;
const REJECTED: i32 = 2;

fn part(number: u32) -> Vec<u8> {
    let mut bytes = vec![0; unsafe { event_len(0, number) }.max(0) as usize];
    unsafe { event_read(0, number, 0, bytes.as_mut_ptr(), bytes.len() as u32) };
    bytes
}

fn reply(data: &[u8]) {
    unsafe { host_reply(0, data.as_ptr(), data.len() as u32) };
}

fn upper(mut data: Vec<u8>) {
    for byte in &mut data {
        if byte.is_ascii_lowercase() {
            *byte -= b'a' - b'A';
        }
    }
    reply(&data)
}

fn emit(data: &str) {
    let event = format!(r#"{{"type":"dev.test.emitted","data":"{data}"}}"#);
    unsafe { host_emit("out".as_ptr(), 3, event.as_ptr(), event.len() as u32) };
}

fn config(name: &[u8]) {
    const GET: &str = "config.get";
    let handle = unsafe { call(GET.as_ptr(), GET.len() as u32, name.as_ptr(), name.len() as u32) };
    if unsafe { call_wait(handle, -1) } as i32 != 200 {
        return reply(b"absent");
    }
    let mut value = vec![0; unsafe { call_len(handle) } as usize];
    unsafe { call_read(handle, 0, value.as_mut_ptr(), value.len() as u32) };
    reply(&value)
}

/// Counts how often a text is in memory. It is given backwards, so that its own copies do not count.
fn find(backwards: &[u8]) -> usize {
    let byte = |at: usize| unsafe { read_volatile(at as *const u8) };
    let size = core::arch::wasm32::memory_size(0) * 65536;
    let is_at = |at: &usize| backwards.iter().rev().enumerate().all(|(n, b)| byte(at + n) == *b);
    (1..size - backwards.len()).filter(is_at).count()
}

static mut KEPT: [u8; 64] = [0; 64];

fn hide(backwards: &[u8]) {
    let heap = unsafe { alloc(Layout::array::<u8>(backwards.len()).unwrap()) };
    for (n, b) in backwards.iter().rev().take(64).enumerate() {
        unsafe {
            write_volatile(heap.add(n), *b);
            write_volatile((addr_of_mut!(KEPT) as *mut u8).add(n), *b);
        }
    }
    reply(find(backwards).to_string().as_bytes())
}

static mut FRAMES: i32 = 0;

fn recurse(n: i32) -> i32 {
    unsafe { write_volatile(addr_of_mut!(FRAMES), n) };
    if unsafe { read_volatile(addr_of_mut!(FRAMES)) } < 0 {
        return 0;
    }
    recurse(n + 1) + unsafe { read_volatile(addr_of_mut!(FRAMES)) }
}

fn hog() {
    let mut all = Vec::new();
    loop {
        all.push(vec![1u8; 1 << 20]);
    }
}

/// The standard library draws the keys of hash maps at random, once: in an event, not during initialisation, they are fresh for each.
fn random() {
    reply(format!("{:016x}", RandomState::new().build_hasher().finish()).as_bytes())
}

fn spin() {
    loop {
        unsafe { write_volatile(addr_of_mut!(FRAMES), 1) }
    }
}

fn reject(kind: &str) -> i32 {
    let reason = format!("no such type: {kind}");
    unsafe { verdict(0, REJECTED as u32, -1, reason.as_ptr(), reason.len() as u32) };
    REJECTED
}

#[no_mangle]
pub extern "C" fn evoke_handle() -> i32 {
    let data = part(PART_DATA);
    let kind = String::from_utf8(part(PART_TYPE)).unwrap();
    match kind.as_str() {
        "echo" => reply(&data),
        "upper" => upper(data),
        "emit" => emit(&String::from_utf8_lossy(&data)),
        "config" => config(&data),
        "log" => unsafe { log(WARN, data.as_ptr(), data.len() as u32) },
        "print" => println!("{}", String::from_utf8_lossy(&data)),
        "random" => random(),
        "hide" => hide(&data),
        "search" => reply(find(&data).to_string().as_bytes()),
        "trap" => panic!("out of cheese"),
        "exit" => std::process::exit(4),
        "hog" => hog(),
        "recurse" => {
            recurse(1);
        }
        "loop" => spin(),
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        _ => return reject(&kind),
    }
    DONE
}
