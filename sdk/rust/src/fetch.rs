use std::collections::VecDeque;
use std::time::Duration;

use crate::request::{append_pairs, first_header, pairs};
use crate::{abi, deliver, host, json, Error, ErrorKind, Event, Json};

/// An HTTP request. fn.yaml lists the hosts that a function may send requests to: `allow: { http: [api.stripe.com] }`. One that changes something gets an
/// `Idempotency-Key` unless it has one: each attempt of an event repeats it.
///
/// ```
/// use evoke::{Event, Fetch, Response};
///
/// fn rate(_: &Event) -> evoke::Result<String> {
///     let response = Fetch::get("https://rates.example/eur").header("accept", "application/json").send()?;
///     if response.status != 200 {
///         return Err(evoke::fail(format!("the rates are not there: {}", response.status)));
///     }
///     Ok(response.json()?["rate"].to_string())
/// }
///
/// let mut runtime = evoke::testing::Runtime::new();
/// runtime.on_fetch(|_| Ok(Response::new(200, r#"{"rate": 1.08}"#)));
/// assert_eq!(runtime.deliver(rate, Event::new("ask", ())).data, b"1.08");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    timeout: Option<Duration>,
    max_bytes: Option<u32>,
    no_redirect: bool,
    event: Option<i32>,
}

impl Fetch {
    /// A request with any method; GET, POST and others that functions often need have one of their own.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Fetch {
        Fetch { method: method.into(), url: url.into(), ..Fetch::default() }
    }

    /// A GET request.
    pub fn get(url: impl Into<String>) -> Fetch {
        Fetch::new("GET", url)
    }

    /// A POST request.
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Fetch {
        Fetch::new("POST", url).body(body)
    }

    /// A PUT request.
    pub fn put(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Fetch {
        Fetch::new("PUT", url).body(body)
    }

    /// One more header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Fetch {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Fetch {
        self.body = body.into();
        self
    }

    /// JSON as the body, and its content type.
    pub fn json(self, value: &Json) -> Fetch {
        self.header("content-type", crate::event::JSON).body(value.to_string())
    }

    /// How long it may take until the whole response is there. Without it, as long as the delivery has.
    pub fn timeout(mut self, timeout: Duration) -> Fetch {
        self.timeout = Some(timeout);
        self
    }

    /// What the body of the response may have. Without it 10 MiB, the most that is possible.
    pub fn max_bytes(mut self, bytes: u32) -> Fetch {
        self.max_bytes = Some(bytes);
        self
    }

    /// Returns a response that redirects. Else at most five redirects are followed, each checked as the URL was.
    pub fn no_redirect(mut self) -> Fetch {
        self.no_redirect = true;
        self
    }

    /// For which event of a batch it is: its trace goes on, and its `Idempotency-Key` is the same when the event comes again in another batch. A handler of
    /// single events need not say it.
    pub fn for_event(mut self, event: &Event) -> Fetch {
        self.event = event.received;
        self
    }

    /// Sends the request and waits for the whole response, whatever its status is. An error means that there is none.
    pub fn send(self) -> Result<Response, Error> {
        self.start()?.wait()
    }

    /// Sends the request and does not wait, so that several are under way at once.
    ///
    /// ```
    /// use evoke::{Event, Fetch};
    ///
    /// fn both(_: &Event) -> evoke::Result<String> {
    ///     let first = Fetch::get("https://a.example").start()?;
    ///     let second = Fetch::get("https://b.example").start()?;
    ///     Ok(format!("{} {}", first.wait()?.status, second.wait()?.status))
    /// }
    /// # let mut runtime = evoke::testing::Runtime::new();
    /// # runtime.on_fetch(|r| Ok(evoke::Response::new(if r.url() == "https://a.example" { 200 } else { 404 }, "")));
    /// # assert_eq!(runtime.deliver(both, Event::new("t", ())).data, b"200 404");
    /// ```
    pub fn start(self) -> Result<Pending, Error> {
        let url = self.shown();
        match host::Call::start(abi::OP_HTTP_FETCH, &self.to_call()) {
            Ok(call) => Ok(Pending { call, url }),
            Err(result) => Err(error(result, &url, "")),
        }
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The body that was set.
    pub fn sent(&self) -> &[u8] {
        &self.body
    }

    /// The headers that were set.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The URL without its query, which may be a secret: errors go into logs.
    fn shown(&self) -> String {
        self.url.split('?').next().unwrap_or_default().to_string()
    }

    /// The request as docs/abi.md has it in section 8.
    fn to_call(&self) -> Vec<u8> {
        let mut head = String::from("{\"url\":");
        json::quote(&mut head, &self.url);
        head.push_str(",\"method\":");
        json::quote(&mut head, &self.method);
        if !self.headers.is_empty() {
            head.push_str(",\"headers\":");
            append_pairs(&mut head, &self.headers);
        }
        let mut number = |name: &str, n: u128| {
            head.push_str(name);
            head.push_str(&n.to_string());
        };
        if let Some(timeout) = self.timeout {
            number(",\"timeoutMs\":", timeout.as_millis().clamp(1, 1 << 40));
        }
        if let Some(bytes) = self.max_bytes {
            number(",\"maxBytes\":", bytes.into());
        }
        if let Ok(event) = u128::try_from(self.event.unwrap_or_else(deliver::at_hand)) {
            number(",\"event\":", event);
        }
        if self.no_redirect {
            head.push_str(",\"redirect\":\"manual\"");
        }
        head.push('}');
        host::two_parts(head.as_bytes(), &self.body)
    }
}

/// A request that is under way. Dropped, it is cancelled.
#[derive(Debug)]
pub struct Pending {
    call: host::Call,
    url: String,
}

impl Pending {
    /// Waits for the whole response.
    pub fn wait(self) -> Result<Response, Error> {
        let (status, answer) = self.call.wait();
        if status != abi::STATUS_OK {
            return Err(error(status, &self.url, &String::from_utf8_lossy(&answer)));
        }
        Response::read(&answer).ok_or_else(|| Error::new(ErrorKind::Other, "fetch", &self.url, "the answer cannot be read", ""))
    }
}

/// Sends all requests, at most 64 at once, and returns their responses in the order of the requests.
///
/// ```
/// use evoke::{Event, Fetch};
///
/// fn all(_: &Event) -> evoke::Result<String> {
///     let urls = ["https://a.example", "https://b.example"];
///     let mut bytes = 0;
///     for response in evoke::fetch_all(urls.iter().map(|url| Fetch::get(*url))) {
///         bytes += response?.body.len();
///     }
///     Ok(bytes.to_string())
/// }
/// # let mut runtime = evoke::testing::Runtime::new();
/// # runtime.on_fetch(|r| Ok(evoke::Response::new(200, r.url())));
/// # assert_eq!(runtime.deliver(all, Event::new("t", ())).data, b"34");
/// ```
pub fn fetch_all(requests: impl IntoIterator<Item = Fetch>) -> Vec<Result<Response, Error>> {
    let mut responses = Vec::new();
    let mut under_way = VecDeque::new();
    let wait = |started: Result<Pending, Error>| started.and_then(Pending::wait);
    for request in requests {
        if under_way.len() == abi::MAX_CALLS {
            responses.extend(under_way.pop_front().map(wait));
        }
        under_way.push_back(request.start());
    }
    responses.extend(under_way.into_iter().map(wait));
    responses
}

/// A response, whatever its status is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Where the last redirect led.
    pub url: String,
    /// The headers, sorted by name, in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A response for tests.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response { status, body: body.into(), ..Response::default() }
    }

    fn read(answer: &[u8]) -> Option<Response> {
        let (head, body) = host::apart(answer)?;
        let head = Json::parse(head).ok()?;
        Some(Response {
            status: head["status"].as_i64()? as u16,
            url: head["url"].as_str()?.to_string(),
            headers: pairs(&head["headers"]),
            body: body.to_vec(),
        })
    }

    /// The first value of a header, in any case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        first_header(&self.headers, name)
    }

    /// The body, which is JSON.
    pub fn json(&self) -> Result<Json, Error> {
        Json::parse(&self.body).map_err(|e| Error::new(ErrorKind::Invalid, "read the response of", &self.url, e.reason(), ""))
    }

    /// The body, which is JSON, as a value of your own type.
    #[cfg(feature = "serde")]
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        crate::typed::decode(&self.body, "decode the response of", &self.url)
    }
}

fn error(status: i32, url: &str, said: &str) -> Error {
    let (kind, why) = match status {
        abi::STATUS_INVALID => (ErrorKind::Invalid, "invalid"),
        abi::STATUS_DENIED => (ErrorKind::Denied, "denied"),
        abi::STATUS_TOO_LARGE => (ErrorKind::TooLarge, "too large"),
        abi::STATUS_BUSY => (ErrorKind::Busy, "too many requests are open"),
        abi::STATUS_UNREACHABLE => (ErrorKind::Unreachable, "unreachable"),
        abi::STATUS_TIMEOUT => (ErrorKind::TimedOut, "not done in time"),
        _ => return Error::of_status(status, "fetch", url),
    };
    Error::new(kind, "fetch", url, why, said)
}
