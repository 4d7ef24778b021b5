#[link(wasm_import_module = "evoke_v1")]
extern "C" {
    fn event_len(event: u32, part: u32) -> i32;
    fn event_read(event: u32, part: u32, off: u32, to: *mut u8, len: u32) -> i32;
    fn reply(part: u32, from: *const u8, len: u32) -> i32;
}

/// Replies with the event's data in capitals.
#[no_mangle]
pub extern "C" fn evoke_handle() -> i32 {
    let len = unsafe { event_len(0, 0) };
    if len < 0 {
        return 2; // no data: rejected
    }
    let mut data = vec![0; len as usize];
    unsafe { event_read(0, 0, 0, data.as_mut_ptr(), len as u32) };
    data.make_ascii_uppercase();
    unsafe { reply(0, data.as_ptr(), len as u32) };
    0 // done
}
