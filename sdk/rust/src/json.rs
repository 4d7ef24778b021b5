use std::fmt;
use std::ops::Index;

use crate::{Error, ErrorKind};

/// A JSON value, for functions that do without serde.
///
/// ```
/// use evoke::{json, Json};
///
/// let order = Json::parse(br#"{"customer": "ada", "total": 12.5, "lines": [1, 2]}"#)?;
/// assert_eq!(order["customer"].as_str(), Some("ada"));
/// assert_eq!(order["total"].as_f64(), Some(12.5));
/// assert_eq!(order["lines"][1], 2);
/// assert_eq!(order["nothing"]["here"], Json::Null);
///
/// let answer = json!({ "paid": order["total"].clone(), "to": json!(["ada", 1]) });
/// assert_eq!(answer.to_string(), r#"{"paid":12.5,"to":["ada",1]}"#);
/// # Ok::<(), evoke::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    /// Members in their order. Of a name that comes twice the last one counts.
    Object(Vec<(String, Json)>),
}

/// A JSON number as it was written, so that none loses digits on its way through.
#[derive(Clone, Debug, PartialEq)]
pub struct Number(String);

impl Number {
    /// The number as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How deep values may lie in each other.
const MAX_DEPTH: usize = 128;

static NULL: Json = Json::Null;

impl Json {
    /// Reads JSON text.
    pub fn parse(text: &[u8]) -> Result<Json, Error> {
        let mut parser = Parser { text: std::str::from_utf8(text).map_err(|e| invalid(e.valid_up_to(), "text that is not UTF-8"))?, at: 0 };
        let value = parser.value(0)?;
        parser.space();
        match parser.peek() {
            None => Ok(value),
            Some(_) => Err(parser.unexpected("the end")),
        }
    }

    /// An object of its members; [`crate::json!`] writes it shorter.
    pub fn object<K: Into<String>, const N: usize>(members: [(K, Json); N]) -> Json {
        Json::Object(IntoIterator::into_iter(members).map(|(k, v)| (k.into(), v)).collect())
    }

    /// A member of an object; None when there is none, or this is no object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(s) => Some(s),
            _ => None,
        }
    }

    /// A number without a fraction that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Number(n) => n.0.parse().ok(),
            _ => None,
        }
    }

    /// A number, rounded to what a float can hold.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Json::Number(n) => n.0.parse().ok(),
            _ => None,
        }
    }

    /// True or false.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The values of an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(a) => Some(a),
            _ => None,
        }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&[(String, Json)]> {
        match self {
            Json::Object(o) => Some(o),
            _ => None,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Json::Number(n) => out.push_str(&n.0),
            Json::String(s) => quote(out, s),
            Json::Array(values) => {
                out.push('[');
                for (i, v) in values.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    v.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (i, (k, v)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    quote(out, k);
                    out.push(':');
                    v.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// As JSON text, without spaces.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

/// Appends a JSON string.
pub(crate) fn quote(out: &mut String, s: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    let mut plain = 0; // what comes before is written
    for (i, b) in s.bytes().enumerate() {
        if b >= 0x20 && b != 0x7f && b != b'"' && b != b'\\' {
            continue;
        }
        out.push_str(&s[plain..i]);
        plain = i + 1;
        out.push('\\');
        if b == b'"' || b == b'\\' {
            out.push(b as char);
        } else {
            out.push_str("u00");
            out.push(HEX[(b >> 4) as usize] as char);
            out.push(HEX[(b & 15) as usize] as char);
        }
    }
    out.push_str(&s[plain..]);
    out.push('"');
}

impl Index<&str> for Json {
    type Output = Json;

    /// A member of an object; null when there is none.
    fn index(&self, name: &str) -> &Json {
        self.get(name).unwrap_or(&NULL)
    }
}

impl Index<usize> for Json {
    type Output = Json;

    /// A value of an array; null when there is none.
    fn index(&self, i: usize) -> &Json {
        self.as_array().and_then(|a| a.get(i)).unwrap_or(&NULL)
    }
}

impl PartialEq<str> for Json {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Json {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(*other)
    }
}

impl PartialEq<i64> for Json {
    fn eq(&self, other: &i64) -> bool {
        self.as_i64() == Some(*other)
    }
}

impl PartialEq<bool> for Json {
    fn eq(&self, other: &bool) -> bool {
        self.as_bool() == Some(*other)
    }
}

macro_rules! from_integer {
    ($($t:ty),*) => {
        $(impl From<$t> for Json {
            fn from(n: $t) -> Json {
                Json::Number(Number(n.to_string()))
            }
        })*
    };
}

from_integer!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

/// JSON has neither infinity nor NaN: they become null.
impl From<f64> for Json {
    fn from(n: f64) -> Json {
        if n.is_finite() {
            Json::Number(Number(n.to_string()))
        } else {
            Json::Null
        }
    }
}

impl From<bool> for Json {
    fn from(b: bool) -> Json {
        Json::Bool(b)
    }
}

impl From<&str> for Json {
    fn from(s: &str) -> Json {
        Json::String(s.to_string())
    }
}

impl From<&String> for Json {
    fn from(s: &String) -> Json {
        Json::String(s.clone())
    }
}

impl From<String> for Json {
    fn from(s: String) -> Json {
        Json::String(s)
    }
}

impl From<&Json> for Json {
    fn from(v: &Json) -> Json {
        v.clone()
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(values: Vec<T>) -> Json {
        Json::Array(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Null, Into::into)
    }
}

fn invalid(at: usize, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, "read JSON", "", &format!("{} at byte {}", why, at), "")
}

/// Reads one text, byte by byte. `at` is always at the border of a character: only ASCII is stepped over one by one, and strings end before ASCII.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, wanted: &str) -> Error {
        match self.text[self.at..].chars().next() {
            None => invalid(self.at, &format!("it ends where {} is expected", wanted)),
            Some(c) => invalid(self.at, &format!("{:?} instead of {}", c, wanted)),
        }
    }

    /// Steps over a character, or not when another one is there.
    fn eat(&mut self, b: u8) -> bool {
        let there = self.peek() == Some(b);
        if there {
            self.at += 1;
        }
        there
    }

    fn value(&mut self, depth: usize) -> Result<Json, Error> {
        if depth > MAX_DEPTH {
            return Err(invalid(self.at, "values deeper than 128 in each other"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, Error> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Json, Error> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("the name of a member"));
            }
            let name = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.unexpected("a colon"));
            }
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.eat(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.eat(b',') {
                return Err(self.unexpected("a comma or }"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Error> {
        self.at += 1;
        let mut values = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Json::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.space();
            if self.eat(b']') {
                return Ok(Json::Array(values));
            }
            if !self.eat(b',') {
                return Err(self.unexpected("a comma or ]"));
            }
        }
    }

    fn number(&mut self) -> Result<Json, Error> {
        let from = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(Json::Number(Number(self.text[from..self.at].to_string())))
    }

    /// Steps over at least one digit.
    fn digits(&mut self) -> Result<(), Error> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from {
            return Err(self.unexpected("a digit"));
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, Error> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|b| b == b'"' || b == b'\\' || b < 0x20).unwrap_or(rest.len());
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escaped()?);
                }
                _ => return Err(self.unexpected("the end of a string")),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Error> {
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        Ok(c)
    }

    /// A code point of one \u or, outside of the basic plane, of two. Half a pair is U+FFFD.
    fn unicode(&mut self) -> Result<char, Error> {
        let high = self.hex()?;
        if !(0xd800..0xdc00).contains(&high) || !self.text[self.at..].starts_with("\\u") {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        self.at += 2;
        let low = self.hex()?;
        if !(0xdc00..0xe000).contains(&low) {
            self.at = before;
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        Ok(char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, Error> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|d| u32::from_str_radix(d, 16).ok()) {
            Some(n) => {
                self.at += 4;
                Ok(n)
            }
            None => Err(self.unexpected("four hexadecimal digits")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_json() {
        for (text, again) in [
            ("null", "null"),
            (" [ ] ", "[]"),
            ("[1, -0.5e+7, 12345678901234567890123]", "[1,-0.5e+7,12345678901234567890123]"),
            (r#"{"a": {"b": [true, false]}, "a": 2}"#, r#"{"a":{"b":[true,false]},"a":2}"#),
            (r#""A\u00e9\n\"\\\/ \ud83e\uddc0 \ud83e""#, "\"Aé\\u000a\\\"\\\\/ \u{1f9c0} \u{fffd}\""),
            (r#""\ud83e\u0041""#, "\"\u{fffd}A\""),
        ] {
            assert_eq!(Json::parse(text.as_bytes()).unwrap().to_string(), again, "{}", text);
        }
    }

    #[test]
    fn says_where_it_is_none() {
        let deep = "[".repeat(200);
        for (text, want) in [
            ("", "read JSON: it ends where a value is expected at byte 0"),
            ("{\"a\" 1}", "read JSON: '1' instead of a colon at byte 5"),
            ("[1 2]", "read JSON: '2' instead of a comma or ] at byte 3"),
            ("{\"a\":1,}", "read JSON: '}' instead of the name of a member at byte 7"),
            ("01", "read JSON: '1' instead of the end at byte 1"),
            ("-", "read JSON: it ends where a digit is expected at byte 1"),
            ("nul", "read JSON: 'n' instead of a value at byte 0"),
            ("\"a", "read JSON: it ends where the end of a string is expected at byte 2"),
            ("\"a\nb\"", "read JSON: '\\n' instead of the end of a string at byte 2"),
            ("\"\\x\"", "read JSON: 'x' instead of an escape at byte 2"),
            ("\"\\u12é4\"", "read JSON: '1' instead of four hexadecimal digits at byte 3"),
            ("é", "read JSON: 'é' instead of a value at byte 0"),
            (&deep, "read JSON: values deeper than 128 in each other at byte 129"),
        ] {
            assert_eq!(Json::parse(text.as_bytes()).unwrap_err().to_string(), want, "{}", text);
        }
        assert_eq!(Json::parse(b"\"\xff\"").unwrap_err().to_string(), "read JSON: text that is not UTF-8 at byte 1");
    }

    // Whatever comes, it does not panic, and what was read is written so that it is read again.
    #[test]
    fn reads_what_it_writes() {
        let seeds: [&[u8]; 4] = [br#"{"a":[1,-2.5e3,null,true,"\u00e9\ud83e\uddc0"]}"#, b"[[[]],{},\"\\n\"]", "\"é🧀\"".as_bytes(), b"-0.0e-1"];
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |n: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % n as u64) as usize
        };
        let mut read = 0;
        for round in 0..40_000 {
            let mut text = seeds[round % seeds.len()].to_vec();
            for _ in 0..next(4) {
                let at = next(text.len());
                match next(3) {
                    0 => text[at] = next(256) as u8,
                    1 => text.insert(at, b"{}[]\",:\\u0e-."[next(13)]),
                    _ => drop(text.drain(at..at + next(text.len() - at))),
                }
                if text.is_empty() {
                    text.push(b'1');
                }
            }
            if let Ok(v) = Json::parse(&text) {
                read += 1;
                assert_eq!(Json::parse(v.to_string().as_bytes()), Ok(v), "{}", String::from_utf8_lossy(&text));
            }
        }
        assert!(read > 10_000, "only {} texts were JSON", read);
    }

    #[test]
    fn numbers() {
        assert_eq!(Json::from(u64::MAX).to_string(), "18446744073709551615");
        assert_eq!(Json::from(1.5).as_f64(), Some(1.5));
        assert_eq!(Json::from(f64::NAN), Json::Null);
        assert_eq!(Json::from(1e300).as_f64(), Some(1e300));
        assert_eq!(Json::from(u64::MAX).as_i64(), None);
        assert_eq!(Json::from("1").as_i64(), None);
    }
}
