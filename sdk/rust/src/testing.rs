//! Runs handlers in ordinary tests and records what they did.
//!
//! ```
//! use evoke::{testing::Runtime, Event};
//!
//! fn greet(event: &Event) -> evoke::Result<String> {
//!     Ok(format!("hello {}", event.text()?))
//! }
//!
//! let got = Runtime::new().deliver(greet, Event::new("greeting", "Ada"));
//! assert_eq!(got.data, b"hello Ada");
//! ```
//!
//! It keeps to the contract of the runtime, limits included, but it is not the runtime: there is one copy of memory for all events, and a handler that panics
//! ends the test. `fnctl test` runs the function in the real sandbox.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::abi::{self, limits};
use crate::event::extensions_in;
use crate::request::{append_pairs, pairs};
use crate::{deliver, host, Answer, ErrorKind, Event, Fetch, Json, Reply, Request, Response, Result};

type OnFetch = Box<dyn FnMut(&Fetch) -> std::result::Result<Response, ErrorKind>>;
type OnInvoke = Box<dyn FnMut(&str, &Event) -> std::result::Result<Answer, (ErrorKind, String)>>;

/// Stands in for the runtime. A new one allows everything, has no state, settings or secrets, and nothing outside of it answers.
pub struct Runtime {
    /// What handlers find, by key of the event and name. A delivery that is done changes it.
    pub state: BTreeMap<(String, String), Vec<u8>>,
    /// The `env` of fn.yaml.
    pub config: BTreeMap<String, String>,
    /// The secrets that fn.yaml lists.
    pub secrets: BTreeMap<String, String>,
    /// `allow.emit` of fn.yaml, names only; None allows every topic.
    pub allow_emit: Option<Vec<String>>,
    /// A fn.yaml without `state: true`.
    pub deny_state: bool,
    /// The deadline of a delivery; 30 s.
    pub timeout: Duration,
    outside: Rc<RefCell<Outside>>,
}

/// What is outside of the runtime.
#[derive(Default)]
struct Outside {
    fetch: Option<OnFetch>,
    invoke: Option<OnInvoke>,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All it did is real.
    Done,
    /// It is tried again.
    Failed,
    /// It is a dead letter.
    Rejected,
}

/// What a delivery did. What it emitted and replied is empty when the verdict is not Done, as for everybody else.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// The text of the handler's error.
    pub reason: String,
    /// What the handler asked for; None when the policy decides.
    pub retry_after: Option<Duration>,
    /// The data of the reply.
    pub data: Vec<u8>,
    /// The HTTP status; 0 when the handler set none.
    pub status: u16,
    /// The headers, of a reply to an HTTP request; else the content type is the only one.
    pub headers: Vec<(String, String)>,
    /// The events in order, each with its topic. An id that the runtime fills in is `test.N`.
    pub emitted: Vec<(String, Event)>,
    /// The lines of the log, each with its level: -4 debug, 0 info, 4 warn, 8 error.
    pub logs: Vec<(i32, String)>,
}

impl Default for Runtime {
    fn default() -> Runtime {
        Runtime::new()
    }
}

impl Runtime {
    /// Makes one.
    pub fn new() -> Runtime {
        Runtime {
            state: BTreeMap::new(),
            config: BTreeMap::new(),
            secrets: BTreeMap::new(),
            allow_emit: None,
            deny_state: false,
            timeout: Duration::from_secs(30),
            outside: Rc::default(),
        }
    }

    /// Answers requests of [`Fetch`], whatever host they are for. Without it none is reachable.
    pub fn on_fetch(&mut self, answer: impl FnMut(&Fetch) -> std::result::Result<Response, ErrorKind> + 'static) {
        self.outside.borrow_mut().fetch = Some(Box::new(answer));
    }

    /// Stands in for the functions that the handler may invoke. Without it all are denied.
    pub fn on_invoke(&mut self, answer: impl FnMut(&str, &Event) -> std::result::Result<Answer, (ErrorKind, String)> + 'static) {
        self.outside.borrow_mut().invoke = Some(Box::new(answer));
    }

    /// Runs a handler on an event.
    pub fn deliver<R: Into<Reply>>(&mut self, handler: impl Fn(&Event) -> Result<R>, event: Event) -> Outcome {
        self.run(vec![parts(&event, None)], event.key(), || deliver::each(handler)).0
    }

    /// Runs a handler on an HTTP request. The key of the event is the header `evoke-key`.
    pub fn serve<R: Into<Reply>>(&mut self, handler: impl Fn(&Event) -> Result<R>, mut request: Request, body: &[u8]) -> Outcome {
        request.headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        if request.raw_path.is_empty() {
            request.raw_path = request.path.clone();
        }
        let mut event = Event::new("dev.evoke.http.request", body).with_id("request").with_source("/test");
        event = event.with_content_type(request.header("content-type").unwrap_or_default());
        let key = request.header("evoke-key").map(str::to_string);
        self.run(vec![parts(&event, Some(&request))], key, || deliver::each(handler)).0
    }

    /// Runs a handler of batches on events: what became of the batch, and of each event.
    pub fn deliver_batch(&mut self, handler: impl Fn(&[Event]) -> Vec<Result<()>>, events: Vec<Event>) -> (Outcome, Vec<Outcome>) {
        self.run(events.iter().map(|e| parts(e, None)).collect(), None, || deliver::batch(handler))
    }

    fn run(&mut self, events: Vec<Parts>, key: Option<String>, deliver: impl FnOnce() -> i32) -> (Outcome, Vec<Outcome>) {
        let delivery = Delivery {
            verdicts: vec![None; events.len()],
            events,
            key,
            state: self.state.clone(),
            config: self.config.clone(),
            secrets: self.secrets.clone(),
            allow_emit: self.allow_emit.clone(),
            deny_state: self.deny_state,
            deadline: Instant::now() + self.timeout,
            outside: self.outside.clone(),
            ..Delivery::default()
        };
        let before = CURRENT.with(|current| current.borrow_mut().replace(delivery));
        assert!(before.is_none(), "a handler that runs cannot run another");
        let _end = End; // also when the handler panics
        let returned = deliver();
        let delivery = CURRENT.with(|current| current.borrow_mut().take()).expect("it runs until here");
        let each: Vec<Outcome> = delivery.verdicts.iter().map(|v| outcome(v.as_ref(), returned)).collect();
        let mut all = each.iter().find(|o| o.verdict != Verdict::Done).cloned().unwrap_or_else(|| outcome(None, abi::DONE));
        if all.verdict == Verdict::Done {
            self.state = delivery.state;
            (all.data, all.emitted, all.status, all.headers) = (delivery.reply, delivery.emitted, delivery.status, delivery.headers);
        }
        all.logs = delivery.logs;
        (all, each)
    }
}

struct End;

impl Drop for End {
    fn drop(&mut self) {
        CURRENT.with(|current| current.borrow_mut().take());
    }
}

/// Verdict, milliseconds to wait for and reason, as they were set.
type Told = (i32, i64, String);

fn outcome(told: Option<&Told>, returned: i32) -> Outcome {
    let (verdict, retry_after_ms, reason) = told.cloned().unwrap_or((returned, -1, String::new()));
    Outcome {
        verdict: match verdict {
            abi::DONE => Verdict::Done,
            abi::REJECTED => Verdict::Rejected,
            _ => Verdict::Failed,
        },
        reason,
        retry_after: u64::try_from(retry_after_ms).ok().map(Duration::from_millis),
        data: Vec::new(),
        status: 0,
        headers: Vec::new(),
        emitted: Vec::new(),
        logs: Vec::new(),
    }
}

type Parts = BTreeMap<i32, Vec<u8>>;

fn parts(event: &Event, request: Option<&Request>) -> Parts {
    let mut parts = Parts::new();
    let mut text = |part, value: &str| {
        if !value.is_empty() {
            parts.insert(part, value.as_bytes().to_vec());
        }
    };
    text(abi::PART_ID, event.id());
    text(abi::PART_SOURCE, event.source());
    text(abi::PART_TYPE, event.ty());
    text(abi::PART_SUBJECT, event.subject().unwrap_or_default());
    text(abi::PART_TIME, event.time().unwrap_or_default());
    text(abi::PART_DATA_CONTENT_TYPE, event.content_type().unwrap_or_default());
    text(abi::PART_DATA_SCHEMA, event.data_schema().unwrap_or_default());
    text(abi::PART_PARTITION_KEY, &event.extension("partitionkey").unwrap_or_default());
    if let Some(request) = request {
        text(abi::PART_REQUEST, &request.to_json().to_string());
    }
    parts.insert(abi::PART_ATTRIBUTES, event.to_json().into_bytes()); // with data; who reads attributes passes it over
    if let Some(data) = event.data_if_any() {
        parts.insert(abi::PART_DATA, data.to_vec());
    }
    parts
}

struct Delivery {
    events: Vec<Parts>,
    verdicts: Vec<Option<Told>>,
    key: Option<String>,
    state: BTreeMap<(String, String), Vec<u8>>,
    config: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    allow_emit: Option<Vec<String>>,
    deny_state: bool,
    deadline: Instant,
    outside: Rc<RefCell<Outside>>,
    effects: usize,
    reply: Vec<u8>,
    status: u16,
    headers: Vec<(String, String)>,
    emitted: Vec<(String, Event)>,
    logs: Vec<(i32, String)>,
    open: BTreeMap<i32, (i32, Vec<u8>)>, // answers by handle
    handles: i32,
}

impl Default for Delivery {
    fn default() -> Delivery {
        Delivery {
            events: Vec::new(),
            verdicts: Vec::new(),
            key: None,
            state: BTreeMap::new(),
            config: BTreeMap::new(),
            secrets: BTreeMap::new(),
            allow_emit: None,
            deny_state: false,
            deadline: Instant::now(),
            outside: Rc::default(),
            effects: 0,
            reply: Vec::new(),
            status: 0,
            headers: Vec::new(),
            emitted: Vec::new(),
            logs: Vec::new(),
            open: BTreeMap::new(),
            handles: 0,
        }
    }
}

thread_local! {
    /// The delivery that runs. A sandbox has one, and so has a thread here.
    static CURRENT: RefCell<Option<Delivery>> = const { RefCell::new(None) };
}

impl Delivery {
    fn event_len(&self, ev: i32, part: i32) -> i32 {
        match usize::try_from(ev).ok().and_then(|ev| self.events.get(ev)) {
            None => abi::INVALID,
            Some(parts) => parts.get(&part).map_or(abi::ABSENT, |b| b.len() as i32),
        }
    }

    fn reply(&mut self, part: i32, from: &[u8]) -> i32 {
        if part == abi::REPLY_DATA {
            if self.reply.len() + from.len() > limits::MAX_REPLY {
                return abi::TOO_LARGE;
            }
            self.reply.extend_from_slice(from);
            return 0;
        }
        let meta = match Json::parse(from) {
            Ok(meta) => meta,
            Err(_) => return abi::INVALID,
        };
        let status = meta["status"].as_i64().unwrap_or(0);
        if status != 0 && !(200..600).contains(&status) {
            return abi::INVALID;
        }
        self.status = status as u16;
        self.headers = pairs(&meta["headers"]);
        if let Some(content_type) = meta["datacontenttype"].as_str() {
            self.headers.push(("content-type".to_string(), content_type.to_string()));
        }
        0
    }

    fn emit(&mut self, topic: &str, event: &[u8]) -> i32 {
        if self.allow_emit.as_ref().map_or(false, |allowed| !allowed.iter().any(|t| t == topic)) {
            return abi::DENIED;
        }
        if self.emitted.len() >= limits::MAX_EMITTED || event.len() > limits::MAX_REQUEST || self.effects + event.len() > limits::MAX_EFFECTS {
            return abi::TOO_LARGE;
        }
        let event = match read_event(event) {
            Some(event) => event,
            None => return abi::INVALID,
        };
        self.effects += event.data().len();
        let event = if event.id().is_empty() { event.with_id(format!("test.{}", self.emitted.len())) } else { event };
        self.emitted.push((topic.to_string(), event));
        self.emitted.len() as i32 - 1
    }

    fn call(&mut self, op: &str, request: &[u8]) -> i32 {
        if self.open.len() >= abi::MAX_CALLS || request.len() > limits::MAX_REQUEST {
            return abi::TOO_LARGE;
        }
        let answer = match op {
            abi::OP_STATE_GET | abi::OP_STATE_SET | abi::OP_STATE_DELETE | abi::OP_STATE_LIST => self.on_state(op, request),
            abi::OP_CONFIG_GET => found(self.config.get(&text(request)), abi::STATUS_NOT_FOUND),
            abi::OP_SECRET_GET => found(self.secrets.get(&text(request)), abi::STATUS_DENIED),
            abi::OP_HTTP_FETCH => self.outside.borrow_mut().fetch(request),
            abi::OP_INVOKE => self.outside.borrow_mut().invoke(request),
            _ => (abi::STATUS_NOT_FOUND, Vec::new()),
        };
        self.handles += 1;
        self.open.insert(self.handles, answer);
        self.handles
    }

    fn on_state(&mut self, op: &str, request: &[u8]) -> (i32, Vec<u8>) {
        let none = |status| (status, Vec::new());
        let key = match &self.key {
            _ if self.deny_state => return none(abi::STATUS_DENIED),
            None => return none(abi::STATUS_NO_KEY),
            Some(key) => key.clone(),
        };
        let two = op == abi::OP_STATE_SET || op == abi::OP_STATE_LIST;
        let (name, rest) = if two { host::apart(request).unwrap_or((request, &[])) } else { (request, &[][..]) };
        if name.len() > limits::MAX_STATE_NAME || name.is_empty() && op != abi::OP_STATE_LIST {
            return none(abi::STATUS_INVALID);
        }
        let place = (key, text(name));
        match op {
            abi::OP_STATE_GET => self.state.get(&place).map_or(none(abi::STATUS_NOT_FOUND), |value| (abi::STATUS_OK, value.clone())),
            abi::OP_STATE_LIST => self.names(&place.0, &place.1, &text(rest)),
            abi::OP_STATE_DELETE => {
                self.state.remove(&place);
                none(abi::STATUS_NO_CONTENT)
            }
            _ if rest.len() > limits::MAX_STATE_VALUE || self.effects + rest.len() > limits::MAX_EFFECTS => none(abi::STATUS_TOO_LARGE),
            _ => {
                self.effects += rest.len();
                self.state.insert(place, rest.to_vec());
                none(abi::STATUS_NO_CONTENT)
            }
        }
    }

    fn names(&self, key: &str, prefix: &str, after: &str) -> (i32, Vec<u8>) {
        let all = self.state.keys().filter(|(k, name)| k == key && name.starts_with(prefix) && (after.is_empty() || name.as_str() > after));
        let mut answer = Vec::new();
        for (n, (_, name)) in all.enumerate() {
            if n == limits::MAX_STATE_PAGE {
                return (abi::STATUS_PARTIAL, answer);
            }
            answer.extend(host::two_parts(name.as_bytes(), &[]));
        }
        (abi::STATUS_OK, answer)
    }
}

impl Outside {
    fn fetch(&mut self, request: &[u8]) -> (i32, Vec<u8>) {
        let (head, body) = host::apart(request).expect("a request has two parts");
        let head = Json::parse(head).expect("the head of a request is JSON");
        let mut fetch = Fetch::new(head["method"].as_str().unwrap_or_default(), head["url"].as_str().unwrap_or_default()).body(body);
        fetch.headers = pairs(&head["headers"]);
        match self.fetch.as_mut().map_or(Err(ErrorKind::Unreachable), |answer| answer(&fetch)) {
            Err(kind) => (status_of(kind), Vec::new()),
            Ok(response) => {
                let mut head = crate::json!({ "status": i32::from(response.status), "url": fetch.url() }).to_string();
                head.truncate(head.len() - 1);
                head.push_str(",\"headers\":");
                append_pairs(&mut head, &response.headers);
                head.push('}');
                (abi::STATUS_OK, host::two_parts(head.as_bytes(), &response.body))
            }
        }
    }

    fn invoke(&mut self, request: &[u8]) -> (i32, Vec<u8>) {
        let (function, event) = host::apart(request).expect("a request has two parts");
        let event = match read_event(event) {
            Some(event) => event,
            None => return (abi::STATUS_INVALID, b"the event is not valid".to_vec()),
        };
        match self.invoke.as_mut().map_or(Err((ErrorKind::Denied, String::new())), |answer| answer(&text(function), &event)) {
            Err((kind, reason)) => (status_of(kind), reason.into_bytes()),
            Ok(answer) => {
                let meta = crate::json!({ "type": answer.ty, "datacontenttype": answer.content_type });
                (abi::STATUS_OK, host::two_parts(meta.to_string().as_bytes(), &answer.data))
            }
        }
    }
}

fn status_of(kind: ErrorKind) -> i32 {
    match kind {
        ErrorKind::Denied => abi::STATUS_DENIED,
        ErrorKind::TooLarge => abi::STATUS_TOO_LARGE,
        ErrorKind::Invalid => abi::STATUS_INVALID,
        ErrorKind::NotFound => abi::STATUS_NOT_FOUND,
        ErrorKind::Busy => abi::STATUS_BUSY,
        ErrorKind::Unreachable | ErrorKind::Trapped => abi::STATUS_UNREACHABLE,
        ErrorKind::TimedOut => abi::STATUS_TIMEOUT,
        ErrorKind::Rejected => abi::STATUS_REJECTED,
        ErrorKind::Unavailable => abi::STATUS_UNAVAILABLE,
        ErrorKind::Loop => abi::STATUS_LOOP,
        ErrorKind::NoKey => abi::STATUS_NO_KEY,
        ErrorKind::Failed | ErrorKind::Over | ErrorKind::Other => abi::STATUS_INTERNAL,
    }
}

fn found(value: Option<&String>, otherwise: i32) -> (i32, Vec<u8>) {
    value.map_or((otherwise, Vec::new()), |v| (abi::STATUS_OK, v.clone().into_bytes()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads structured CloudEvents JSON; None when it is no valid event.
fn read_event(from: &[u8]) -> Option<Event> {
    let parsed = Json::parse(from).ok()?;
    let ty = parsed["type"].as_str().filter(|ty| !ty.is_empty())?;
    let mut event = match (parsed.get("data"), parsed["data_base64"].as_str()) {
        (Some(data), _) => Event::new(ty, data),
        (None, Some(data)) => Event::new(ty, decode_base64(data)?),
        (None, None) => Event::new(ty, ()),
    };
    for (name, set) in [
        ("id", Event::with_id as fn(Event, String) -> Event),
        ("source", Event::with_source),
        ("subject", Event::with_subject),
        ("time", Event::with_time),
        ("datacontenttype", Event::with_content_type),
        ("dataschema", Event::with_data_schema),
    ] {
        if let Some(value) = parsed[name].as_str() {
            event = set(event, value.to_string());
        }
    }
    for (name, value) in extensions_in(from) {
        if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return None;
        }
        event = event.with_extension(name, value);
    }
    Some(event)
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut have) = (0_u32, 0);
    for b in digits.bytes() {
        let digit = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have & 0xff) as u8);
        }
    }
    Some(out)
}

/// The host functions, for crate::host.
#[doc(hidden)]
pub(crate) mod border {
    use super::*;

    fn with<T>(f: impl FnOnce(&mut Delivery) -> T) -> T {
        CURRENT.with(|current| match current.borrow_mut().as_mut() {
            Some(delivery) => f(delivery),
            None => panic!("evoke: called outside of a delivery; in a test, run the handler with evoke::testing::Runtime"),
        })
    }

    /// Copies from a part of what there is.
    fn copy(from: &[u8], off: usize, to: &mut [u8]) -> i32 {
        let rest = from.get(off..).unwrap_or_default();
        let n = rest.len().min(to.len());
        to[..n].copy_from_slice(&rest[..n]);
        n as i32
    }

    pub fn event_count() -> i32 {
        with(|d| d.events.len() as i32)
    }
    pub fn event_len(ev: i32, part: i32) -> i32 {
        with(|d| d.event_len(ev, part))
    }
    pub fn event_read(ev: i32, part: i32, off: usize, to: &mut [u8]) -> i32 {
        with(|d| match d.event_len(ev, part) {
            n if n < 0 => n,
            _ => copy(&d.events[ev as usize][&part], off, to),
        })
    }
    pub fn reply(part: i32, from: &[u8]) -> i32 {
        with(|d| d.reply(part, from))
    }
    pub fn emit(topic: &str, event: &[u8]) -> i32 {
        with(|d| d.emit(topic, event))
    }
    pub fn verdict(ev: i32, verdict: i32, retry_after_ms: i64, reason: &str) -> i32 {
        with(|d| match usize::try_from(ev).ok().and_then(|ev| d.verdicts.get_mut(ev)) {
            None => abi::INVALID,
            Some(place) => {
                *place = Some((verdict, retry_after_ms, reason.to_string()));
                0
            }
        })
    }
    pub fn log(level: i32, line: &str) {
        with(|d| d.logs.push((level, line.to_string())))
    }
    pub fn call(op: &str, request: &[u8]) -> i32 {
        with(|d| d.call(op, request))
    }
    pub fn call_wait(handle: i32, _timeout_ms: i64) -> i64 {
        with(|d| d.open.get(&handle).map_or(abi::INVALID.into(), |(status, _)| i64::from(handle) << 32 | i64::from(*status)))
    }
    pub fn call_len(handle: i32) -> i32 {
        with(|d| d.open.get(&handle).map_or(abi::INVALID, |(_, answer)| answer.len() as i32))
    }
    pub fn call_read(handle: i32, off: usize, to: &mut [u8]) -> i32 {
        with(|d| d.open.get(&handle).map_or(abi::INVALID, |(_, answer)| copy(answer, off, to)))
    }
    pub fn call_close(handle: i32) -> i32 {
        CURRENT.with(|current| current.borrow_mut().as_mut().and_then(|d| d.open.remove(&handle)).map_or(abi::INVALID, |_| 0))
    }
    pub fn deadline_ms() -> i64 {
        with(|d| d.deadline.saturating_duration_since(Instant::now()).as_millis() as i64)
    }
}
