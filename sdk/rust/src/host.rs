//! The border to the runtime: the host functions of docs/abi.md with Rust types. It is the only module with unsafe code. Compiled for anything but
//! WebAssembly, [`crate::testing`] stands in for the runtime.

use crate::abi;

#[cfg(target_arch = "wasm32")]
mod border {
    #![allow(unsafe_code)]

    #[link(wasm_import_module = "evoke_v1")]
    extern "C" {
        #[link_name = "event_count"]
        fn raw_event_count() -> i32;
        #[link_name = "event_len"]
        fn raw_event_len(ev: i32, part: i32) -> i32;
        #[link_name = "event_read"]
        fn raw_event_read(ev: i32, part: i32, off: u32, to: *mut u8, len: u32) -> i32;
        #[link_name = "reply"]
        fn raw_reply(part: i32, from: *const u8, len: u32) -> i32;
        #[link_name = "emit"]
        fn raw_emit(topic: *const u8, topic_len: u32, event: *const u8, event_len: u32) -> i32;
        #[link_name = "verdict"]
        fn raw_verdict(ev: i32, verdict: i32, retry_after_ms: i64, reason: *const u8, len: u32) -> i32;
        #[link_name = "log"]
        fn raw_log(level: i32, line: *const u8, len: u32);
        #[link_name = "call"]
        fn raw_call(op: *const u8, op_len: u32, req: *const u8, req_len: u32) -> i32;
        #[link_name = "call_wait"]
        fn raw_call_wait(handle: i32, timeout_ms: i64) -> i64;
        #[link_name = "call_len"]
        fn raw_call_len(handle: i32) -> i32;
        #[link_name = "call_read"]
        fn raw_call_read(handle: i32, off: u32, to: *mut u8, len: u32) -> i32;
        #[link_name = "call_close"]
        fn raw_call_close(handle: i32) -> i32;
        #[link_name = "deadline_ms"]
        fn raw_deadline_ms() -> i64;
    }

    // Each of these is sound for the same reason: the host copies from or to the slice while the call runs and keeps no pointer, and pointer and length
    // are those of a slice that is borrowed, mutably where the host writes. Memory of wasm32 has 4 GiB at most, so a length fits in u32.

    pub fn event_count() -> i32 {
        unsafe { raw_event_count() }
    }
    pub fn event_len(ev: i32, part: i32) -> i32 {
        unsafe { raw_event_len(ev, part) }
    }
    pub fn event_read(ev: i32, part: i32, off: usize, to: &mut [u8]) -> i32 {
        unsafe { raw_event_read(ev, part, off as u32, to.as_mut_ptr(), to.len() as u32) }
    }
    pub fn reply(part: i32, from: &[u8]) -> i32 {
        unsafe { raw_reply(part, from.as_ptr(), from.len() as u32) }
    }
    pub fn emit(topic: &str, event: &[u8]) -> i32 {
        unsafe { raw_emit(topic.as_ptr(), topic.len() as u32, event.as_ptr(), event.len() as u32) }
    }
    pub fn verdict(ev: i32, verdict: i32, retry_after_ms: i64, reason: &str) -> i32 {
        unsafe { raw_verdict(ev, verdict, retry_after_ms, reason.as_ptr(), reason.len() as u32) }
    }
    pub fn log(level: i32, line: &str) {
        unsafe { raw_log(level, line.as_ptr(), line.len() as u32) }
    }
    pub fn call(op: &str, req: &[u8]) -> i32 {
        unsafe { raw_call(op.as_ptr(), op.len() as u32, req.as_ptr(), req.len() as u32) }
    }
    pub fn call_wait(handle: i32, timeout_ms: i64) -> i64 {
        unsafe { raw_call_wait(handle, timeout_ms) }
    }
    pub fn call_len(handle: i32) -> i32 {
        unsafe { raw_call_len(handle) }
    }
    pub fn call_read(handle: i32, off: usize, to: &mut [u8]) -> i32 {
        unsafe { raw_call_read(handle, off as u32, to.as_mut_ptr(), to.len() as u32) }
    }
    pub fn call_close(handle: i32) -> i32 {
        unsafe { raw_call_close(handle) }
    }
    pub fn deadline_ms() -> i64 {
        unsafe { raw_deadline_ms() }
    }
}

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::border;

pub use border::{deadline_ms, emit, event_count, event_len, log, reply, verdict};

/// A part of an event; None when the event does not have it.
pub fn part(ev: i32, part: i32) -> Option<Vec<u8>> {
    let len = border::event_len(ev, part);
    if len < 0 {
        return None;
    }
    read(len as usize, |off, to| border::event_read(ev, part, off, to)).ok()
}

/// A part of an event that is text.
pub fn text(ev: i32, part_number: i32) -> Option<String> {
    // The runtime lets no other text than UTF-8 in.
    part(ev, part_number).map(|b| String::from_utf8_lossy(&b).into_owned())
}

/// Copies len bytes with a function that may copy fewer of them at a time.
fn read(len: usize, copy: impl Fn(usize, &mut [u8]) -> i32) -> Result<Vec<u8>, i32> {
    let mut bytes = vec![0; len];
    let mut off = 0;
    while off < len {
        match copy(off, &mut bytes[off..]) {
            n if n > 0 => off += n as usize,
            n => return Err(n.min(abi::ABSENT)),
        }
    }
    Ok(bytes)
}

/// A capability that was asked for. Dropped, it is cancelled.
#[derive(Debug)]
pub struct Call(i32);

impl Call {
    /// Starts a capability. The error is a result of the ABI.
    pub fn start(op: &str, request: &[u8]) -> Result<Call, i32> {
        match border::call(op, request) {
            handle if handle > 0 => Ok(Call(handle)),
            result => Err(result),
        }
    }

    /// Waits for the answer: its status, one of HTTP's, and its bytes. A negative status is a result of the ABI.
    pub fn wait(self) -> (i32, Vec<u8>) {
        let done = border::call_wait(self.0, -1);
        if done < 0 {
            return (done as i32, Vec::new());
        }
        let len = border::call_len(self.0);
        if len < 0 {
            return (len, Vec::new());
        }
        match read(len as usize, |off, to| border::call_read(self.0, off, to)) {
            Ok(answer) => (done as i32, answer), // the lower half; the handle is in the upper
            Err(result) => (result, Vec::new()),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        border::call_close(self.0);
    }
}

/// Runs one capability and waits for it; see [`Call::wait`].
pub fn run(op: &str, request: &[u8]) -> (i32, Vec<u8>) {
    match Call::start(op, request) {
        Ok(call) => call.wait(),
        Err(result) => (result, Vec::new()),
    }
}

/// A request of two parts: the length of the first, the first, the second.
pub fn two_parts(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut request = Vec::with_capacity(4 + first.len() + second.len());
    request.extend_from_slice(&(first.len() as u32).to_le_bytes());
    request.extend_from_slice(first);
    request.extend_from_slice(second);
    request
}

/// Takes an answer of two parts apart. None when it is none; the runtime sends only such.
pub fn apart(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = u32::from_le_bytes([*answer.first()?, *answer.get(1)?, *answer.get(2)?, *answer.get(3)?]) as usize;
    let rest = &answer[4..];
    if len > rest.len() {
        return None;
    }
    Some(rest.split_at(len))
}
