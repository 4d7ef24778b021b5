// @ts-ignore: decorator
@external("evoke_v1", "event_len") declare function event_len(event: u32, part: u32): i32;
// @ts-ignore: decorator
@external("evoke_v1", "event_read") declare function event_read(event: u32, part: u32, off: u32, to: usize, len: u32): i32;
// @ts-ignore: decorator
@external("evoke_v1", "reply") declare function reply(part: u32, from: usize, len: u32): i32;

// Replies with the event's data in capitals.
export function evoke_handle(): i32 {
  const len = event_len(0, 0);
  if (len < 0) return 2; // no data: rejected
  const data = new Uint8Array(len);
  event_read(0, 0, 0, data.dataStart, len);
  for (let i = 0; i < len; i++) {
    if (data[i] >= 0x61 && data[i] <= 0x7a) data[i] -= 0x20;
  }
  reply(0, data.dataStart, len);
  return 0; // done
}
