//! The names and numbers of the guest contract (docs/abi.md). A test of the runtime compares them with its own.

/// Verdicts.
pub const DONE: i32 = 0;
pub const FAILED: i32 = 1;
pub const REJECTED: i32 = 2;

/// Results of host functions below zero.
pub const ABSENT: i32 = -1;
pub const TOO_LARGE: i32 = -2;
pub const DENIED: i32 = -3;
pub const INVALID: i32 = -4;
pub const CLOSED: i32 = -5;

/// Parts of an event.
pub const PART_DATA: i32 = 0;
pub const PART_ATTRIBUTES: i32 = 1;
pub const PART_REQUEST: i32 = 3;
pub const PART_ID: i32 = 16;
pub const PART_SOURCE: i32 = 17;
pub const PART_TYPE: i32 = 18;
pub const PART_SUBJECT: i32 = 19;
pub const PART_TIME: i32 = 20;
pub const PART_DATA_CONTENT_TYPE: i32 = 21;
pub const PART_DATA_SCHEMA: i32 = 22;
pub const PART_PARTITION_KEY: i32 = 23;

/// Parts of a reply.
pub const REPLY_DATA: i32 = 0;
pub const REPLY_JSON: i32 = 1;

/// Levels of the log.
pub const LEVEL_DEBUG: i32 = -4;
pub const LEVEL_INFO: i32 = 0;
pub const LEVEL_WARN: i32 = 4;
pub const LEVEL_ERROR: i32 = 8;

/// Statuses of a call, numbers of HTTP.
pub const STATUS_OK: i32 = 200;
pub const STATUS_NO_CONTENT: i32 = 204;
pub const STATUS_PARTIAL: i32 = 206;
pub const STATUS_INVALID: i32 = 400;
pub const STATUS_DENIED: i32 = 403;
pub const STATUS_NOT_FOUND: i32 = 404;
pub const STATUS_NO_KEY: i32 = 412;
pub const STATUS_TOO_LARGE: i32 = 413;
pub const STATUS_REJECTED: i32 = 422;
pub const STATUS_BUSY: i32 = 429;
pub const STATUS_INTERNAL: i32 = 500;
pub const STATUS_UNREACHABLE: i32 = 502;
pub const STATUS_TRAPPED: i32 = 502;
pub const STATUS_UNAVAILABLE: i32 = 503;
pub const STATUS_TIMEOUT: i32 = 504;
pub const STATUS_LOOP: i32 = 508;

/// Capabilities a guest can call.
pub const OP_STATE_GET: &str = "state.get";
pub const OP_STATE_SET: &str = "state.set";
pub const OP_STATE_DELETE: &str = "state.delete";
pub const OP_STATE_LIST: &str = "state.list";
pub const OP_INVOKE: &str = "invoke";
pub const OP_CONFIG_GET: &str = "config.get";
pub const OP_SECRET_GET: &str = "secret.get";
pub const OP_HTTP_FETCH: &str = "http.fetch";

/// Calls that can be open at once.
pub const MAX_CALLS: usize = 64;

/// Limits that `testing` keeps to, in bytes or pieces.
#[cfg(not(target_arch = "wasm32"))]
pub mod limits {
    pub const MAX_REPLY: usize = 1 << 20;
    pub const MAX_EMITTED: usize = 1000;
    pub const MAX_EFFECTS: usize = 4 << 20;
    pub const MAX_REQUEST: usize = 1 << 20;
    pub const MAX_STATE_NAME: usize = 512;
    pub const MAX_STATE_VALUE: usize = 256 << 10;
    pub const MAX_STATE_PAGE: usize = 1000;
}
