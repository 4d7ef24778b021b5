use std::fmt;

use crate::{abi, host, json, Error, ErrorKind, Json, Request};

/// A CloudEvent: the one a handler gets, or one to [`emit`](crate::emit).
///
/// ```
/// use evoke::{json, Event};
///
/// let push = Event::new("com.example.push", json!({ "ref": "refs/heads/main" })).with_subject("octo/repo");
/// assert_eq!(push.subject(), Some("octo/repo"));
/// assert_eq!(push.content_type(), Some("application/json"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Event {
    id: String,
    source: String,
    ty: String,
    subject: Option<String>,
    time: Option<String>,
    content_type: Option<String>,
    data_schema: Option<String>,
    data: Option<Vec<u8>>,
    is_json: bool, // data was made by this crate and is valid JSON
    /// Its number in the delivery; None for an event that was made here.
    pub(crate) received: Option<i32>,
    /// None until they are set or, of an event that was received, looked at by something that changes them.
    extensions: Option<Vec<(String, Extension)>>,
}

/// The value of an extension attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// A text, also of what has a form of its own (times, URIs).
    Text(String),
    /// True or false.
    Bool(bool),
    /// A number of 32 bits.
    Int(i32),
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Extension::Text(s) => f.write_str(s),
            Extension::Bool(b) => b.fmt(f),
            Extension::Int(n) => n.fmt(f),
        }
    }
}

impl From<&str> for Extension {
    fn from(s: &str) -> Extension {
        Extension::Text(s.to_string())
    }
}

impl From<String> for Extension {
    fn from(s: String) -> Extension {
        Extension::Text(s)
    }
}

impl From<bool> for Extension {
    fn from(b: bool) -> Extension {
        Extension::Bool(b)
    }
}

impl From<i32> for Extension {
    fn from(n: i32) -> Extension {
        Extension::Int(n)
    }
}

/// What an event can be made of: `()` for no data, bytes (`application/octet-stream`), text (`text/plain`) or [`Json`].
pub trait Data {
    /// The content type and the bytes.
    fn into_data(self) -> Option<(&'static str, Vec<u8>)>;
}

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const JSON: &str = "application/json";

impl Data for () {
    fn into_data(self) -> Option<(&'static str, Vec<u8>)> {
        None
    }
}

impl Data for &str {
    fn into_data(self) -> Option<(&'static str, Vec<u8>)> {
        Some((TEXT, self.as_bytes().to_vec()))
    }
}

impl Data for String {
    fn into_data(self) -> Option<(&'static str, Vec<u8>)> {
        Some((TEXT, self.into_bytes()))
    }
}

impl Data for &[u8] {
    fn into_data(self) -> Option<(&'static str, Vec<u8>)> {
        Some(("application/octet-stream", self.to_vec()))
    }
}

impl Data for Vec<u8> {
    fn into_data(self) -> Option<(&'static str, Vec<u8>)> {
        Some(("application/octet-stream", self))
    }
}

impl Data for Json {
    fn into_data(self) -> Option<(&'static str, Vec<u8>)> {
        Some((JSON, self.to_string().into_bytes()))
    }
}

impl Data for &Json {
    fn into_data(self) -> Option<(&'static str, Vec<u8>)> {
        Some((JSON, self.to_string().into_bytes()))
    }
}

impl Event {
    /// Makes an event to emit. The runtime fills in id, source and time unless they are set.
    pub fn new(ty: impl Into<String>, data: impl Data) -> Event {
        let mut event = Event { ty: ty.into(), ..Event::default() };
        if let Some((content_type, data)) = data.into_data() {
            event.content_type = Some(content_type.to_string());
            event.is_json = content_type == JSON;
            event.data = Some(data);
        }
        event
    }

    /// Makes an event to emit of data that serde can write as JSON.
    #[cfg(feature = "serde")]
    pub fn encode<T: serde::Serialize + ?Sized>(ty: impl Into<String>, data: &T) -> Result<Event, Error> {
        let ty = ty.into();
        let data = crate::typed::encode(data, "write the data of event", &ty)?;
        let mut event = Event::new(ty, data).with_content_type(JSON);
        event.is_json = true;
        Ok(event)
    }

    /// Reads an event of the delivery.
    pub(crate) fn receive(number: i32) -> Event {
        let text = |part| host::text(number, part);
        Event {
            id: text(abi::PART_ID).unwrap_or_default(),
            source: text(abi::PART_SOURCE).unwrap_or_default(),
            ty: text(abi::PART_TYPE).unwrap_or_default(),
            subject: text(abi::PART_SUBJECT),
            time: text(abi::PART_TIME),
            content_type: text(abi::PART_DATA_CONTENT_TYPE),
            data_schema: text(abi::PART_DATA_SCHEMA),
            data: host::part(number, abi::PART_DATA),
            received: Some(number),
            ..Event::default()
        }
    }

    /// The id; empty of an event that was made here and has none yet.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it happened; empty of an event that was made here and has none yet.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The type.
    pub fn ty(&self) -> &str {
        &self.ty
    }

    /// What it is about.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// When it happened, RFC 3339.
    pub fn time(&self) -> Option<&str> {
        self.time.as_deref()
    }

    /// The content type of the data.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The URI of the schema of the data.
    pub fn data_schema(&self) -> Option<&str> {
        self.data_schema.as_deref()
    }

    /// The data as it came; empty when there is none.
    pub fn data(&self) -> &[u8] {
        self.data.as_deref().unwrap_or_default()
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn data_if_any(&self) -> Option<&[u8]> {
        self.data.as_deref()
    }

    /// The data as text.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(self.data()).map_err(|e| Error::new(ErrorKind::Invalid, "read the data of event", &self.id, &e.to_string(), ""))
    }

    /// The data, which is JSON. Data that is not JSON stays so: think of [`reject`](crate::reject).
    pub fn json(&self) -> Result<Json, Error> {
        Json::parse(self.data()).map_err(|e| Error::new(ErrorKind::Invalid, "read the data of event", &self.id, e.reason(), ""))
    }

    /// The data, which is JSON, as a value of your own type.
    #[cfg(feature = "serde")]
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        crate::typed::decode(self.data(), "decode the data of event", &self.id)
    }

    /// What orders events and holds state: the extension `partitionkey`, else the subject.
    pub fn key(&self) -> Option<String> {
        self.extension("partitionkey").or_else(|| self.subject.clone())
    }

    /// An extension attribute in its text form.
    pub fn extension(&self, name: &str) -> Option<String> {
        match (&self.extensions, self.received) {
            (None, Some(number)) if name == "partitionkey" => host::text(number, abi::PART_PARTITION_KEY), // without parsing the rest
            _ => self.extensions().into_iter().find(|(n, _)| n == name).map(|(_, v)| v.to_string()),
        }
    }

    /// All extension attributes.
    pub fn extensions(&self) -> Vec<(String, Extension)> {
        match (&self.extensions, self.received) {
            (Some(extensions), _) => extensions.clone(),
            (None, None) => Vec::new(),
            (None, Some(number)) => host::part(number, abi::PART_ATTRIBUTES).map_or(Vec::new(), |b| extensions_in(&b)),
        }
    }

    /// The HTTP request that became this event; None for an event that was none.
    pub fn request(&self) -> Option<Request> {
        Request::read(&host::part(self.received?, abi::PART_REQUEST)?)
    }

    /// The event with another id.
    pub fn with_id(mut self, id: impl Into<String>) -> Event {
        self.id = id.into();
        self
    }

    /// The event with another source.
    pub fn with_source(mut self, source: impl Into<String>) -> Event {
        self.source = source.into();
        self
    }

    /// The event with another subject.
    pub fn with_subject(mut self, subject: impl Into<String>) -> Event {
        self.subject = Some(subject.into());
        self
    }

    /// The event with another time, RFC 3339.
    pub fn with_time(mut self, time: impl Into<String>) -> Event {
        self.time = Some(time.into());
        self
    }

    /// The event with another content type for the same data.
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Event {
        self.content_type = Some(content_type.into());
        self
    }

    /// The event with another schema.
    pub fn with_data_schema(mut self, schema: impl Into<String>) -> Event {
        self.data_schema = Some(schema.into());
        self
    }

    /// The event with an extension attribute. Names have lower-case letters and digits only; what another name comes to is an error of emit.
    pub fn with_extension(mut self, name: impl Into<String>, value: impl Into<Extension>) -> Event {
        let (name, value) = (name.into(), value.into());
        let mut extensions = self.extensions();
        extensions.retain(|(n, _)| *n != name);
        extensions.push((name, value));
        self.extensions = Some(extensions);
        self
    }

    /// The event as structured CloudEvents JSON.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::with_capacity(256 + self.data().len() * 4 / 3);
        out.push_str("{\"specversion\":\"1.0\"");
        let required = [("id", &self.id), ("source", &self.source), ("type", &self.ty)];
        for (name, value) in required.iter().filter(|(_, v)| !v.is_empty()) {
            member(&mut out, name);
            json::quote(&mut out, value);
        }
        let optional = [("subject", &self.subject), ("time", &self.time), ("datacontenttype", &self.content_type), ("dataschema", &self.data_schema)];
        for (name, value) in optional {
            if let Some(value) = value.as_deref().filter(|v| !v.is_empty()) {
                member(&mut out, name);
                json::quote(&mut out, value);
            }
        }
        for (name, value) in self.extensions() {
            member(&mut out, &name);
            match value {
                Extension::Text(s) => json::quote(&mut out, &s),
                other => out.push_str(&other.to_string()),
            }
        }
        self.append_data(&mut out);
        out.push('}');
        out
    }

    fn append_data(&self, out: &mut String) {
        let data = match &self.data {
            Some(data) => data,
            None => return,
        };
        // JSON stands in the event as it is, unless there is space around it, which the runtime would not keep.
        let plain = self.is_json || self.content_type() == Some(JSON) && no_space_around(data) && Json::parse(data).is_ok();
        match std::str::from_utf8(data) {
            Ok(text) if plain => {
                member(out, "data");
                out.push_str(text);
            }
            _ => {
                member(out, "data_base64");
                out.push('"');
                base64(out, data);
                out.push('"');
            }
        }
    }
}

fn no_space_around(text: &[u8]) -> bool {
    let space = |b: Option<&u8>| b.map_or(true, |b| b.is_ascii_whitespace());
    !space(text.first()) && !space(text.last())
}

fn member(out: &mut String, name: &str) {
    out.push(',');
    json::quote(out, name);
    out.push(':');
}

/// The attributes of a JSON object that are none of CloudEvents' own.
pub(crate) fn extensions_in(attributes: &[u8]) -> Vec<(String, Extension)> {
    const OWN: [&str; 10] = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "data_base64"];
    let parsed = Json::parse(attributes).unwrap_or(Json::Null); // the runtime made it
    let members = match parsed {
        Json::Object(members) => members,
        _ => return Vec::new(),
    };
    let mut out = Vec::new();
    for (name, value) in members {
        let value = match value {
            _ if OWN.contains(&name.as_str()) => continue,
            Json::String(s) => Extension::Text(s),
            Json::Bool(b) => Extension::Bool(b),
            Json::Number(n) => match n.as_str().parse() {
                Ok(n) => Extension::Int(n),
                Err(_) => Extension::Text(n.as_str().to_string()),
            },
            _ => continue,
        };
        out.push((name, value));
    }
    out
}

fn base64(out: &mut String, data: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in data.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            match i <= chunk.len() {
                true => out.push(DIGITS[(bits >> (18 - 6 * i) & 63) as usize] as char),
                false => out.push('='),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_structured_json() {
        let event = Event::new("t", json!({"a": 1}))
            .with_id("1")
            .with_subject("s")
            .with_extension("n", 7)
            .with_extension("n", 8)
            .with_extension("b", true)
            .with_extension("x", "y");
        assert_eq!(
            event.to_json(),
            r#"{"specversion":"1.0","id":"1","type":"t","subject":"s","datacontenttype":"application/json","n":8,"b":true,"x":"y","data":{"a":1}}"#
        );
        assert_eq!(Event::new("t", ()).to_json(), r#"{"specversion":"1.0","type":"t"}"#);
    }

    #[test]
    fn data_stays_byte_for_byte() {
        for (content_type, data, want) in [
            ("application/json", &b"[1]"[..], "\"data\":[1]}"),
            ("application/json", b" [1]", "\"data_base64\":\"IFsxXQ==\"}"),
            ("application/json", b"[1", "\"data_base64\":\"WzE=\"}"),
            ("application/json", b"", "\"data_base64\":\"\"}"),
            ("text/plain", b"abc", "\"data_base64\":\"YWJj\"}"),
            ("application/octet-stream", &[0xff, 0xfe, 0xfd, 0xfc], "\"data_base64\":\"//79/A==\"}"),
        ] {
            let got = Event::new("t", data).with_content_type(content_type).to_json();
            assert!(got.ends_with(want), "{}", got);
        }
    }

    #[test]
    fn reads_extensions() {
        let got = extensions_in(br#"{"specversion":"1.0","id":"1","a":"x","b":true,"c":-3,"d":null}"#);
        let want: Vec<(String, Extension)> = vec![("a".into(), "x".into()), ("b".into(), true.into()), ("c".into(), (-3).into())];
        assert_eq!(got, want);
    }

    #[test]
    fn the_key_is_the_partitionkey_or_the_subject() {
        let event = Event::new("t", ()).with_subject("s");
        assert_eq!(event.key().as_deref(), Some("s"));
        assert_eq!(event.with_extension("partitionkey", "p").key().as_deref(), Some("p"));
        assert_eq!(Event::new("t", ()).key(), None);
    }
}
