package rustbuild

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestAbsentCallsInRust(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		src  string
		want string // lines and calls
	}{
		"whole paths": {"fn f() {\n  std::fs::read(\"a\");\n  ::std::net::TcpStream::connect(\"a\");\n  std::net::UdpSocket::bind(\"a\"); std::net::TcpListener::bind(\"a\");\n  std::process::Command::new(\"ls\");\n  std::thread::spawn(|| {});\n}",
			"2 fs::read, 3 TcpStream::connect, 4 UdpSocket::bind, 4 TcpListener::bind, 5 Command::new, 6 thread::spawn"},
		"modules and names":     {"use std::fs;\nuse std::fs::File;\nuse std::thread::{self, spawn as go};\nfn f() { fs::write(\"a\", b\"\"); File::open(\"a\"); thread::Builder::new(); go(|| ()); fs::File::create(\"a\"); thread::scope(|s| ()) }", "4 fs::write, 4 File::open, 4 Builder::new, 4 thread::spawn, 4 File::create, 4 thread::scope"},
		"trees":                 {"pub use std::{io, net::{IpAddr, TcpStream as Stream}, process::{self, Command}};\nfn f() { Stream::connect(\"a\"); Command::new(\"a\"); process::Command::new(\"b\"); process::exit(1); io::stdin() }", "2 TcpStream::connect, 2 Command::new, 2 Command::new"},
		"names of names":        {"use std::fs; use fs::File as F; fn f() { F::open(\"a\"); }", "1 File::open"},
		"names after their use": {"fn f() { fs::read(\"a\"); }\nuse std::fs;", "1 fs::read"},
		"as a value":            {"use std::fs; fn f(n: Option<&str>) { n.map(fs::read); n.map(std::fs::read_to_string::<&str>); }", "1 fs::read, 1 fs::read_to_string"},
		"in macros":             {"use std::fs; fn f() { println!(\"{:?}\", fs::read(\"a\")); vec![fs::read(\"b\")]; }", "1 fs::read, 1 fs::read"},
		"strings over lines":    {"const A: &str = \"\n\\\"\\\n\"; const B: &[u8] = br##\"\n\"# \"##;\nfn f() { std::fs::read(A); }", "5 fs::read"},
		"raw names":             {"fn f(r#use: u8) { let r#fn = r#use; std::fs::read(\"a\"); }", "1 fs::read"},
		"types":                 {"use std::{fs::File, net::TcpStream, process::Command}; fn f(a: &File, b: TcpStream) -> Result<std::fs::Metadata, Command> { todo!() }", ""},
		"what there is":         {"use std::{thread, net::IpAddr, process}; fn f() { thread::sleep(d); thread::current(); IpAddr::from([1, 2, 3, 4]); process::id(); std::env::var(\"a\"); }", ""},
		"names of others":       {"mod fs { pub fn read() {} }\nuse crate::process::Command; use tokio::thread; struct TcpStream;\nfn f() { fs::read(); Command::new(); thread::spawn(); TcpStream::connect(); self::fs::read(); crate::fs::read(); my::std::fs::read(); }", ""},
		"methods":               {"use std::{thread::spawn, fs::read};\nimpl A { fn spawn(&self) { self.read(); self.fs.read(); let read = 1; read + 1; A.spawn() } }", ""},
		"associated":            {"use std::fs; fn f() { <A as B>::fs::read(); Vec::<u8>::read(); }", ""},
		"comments":              {"// std::fs::read(\"a\")\n/// std::fs::read(\"a\")\n//! std::fs::read(\"a\")\n/* /* */ std::fs::read(\"a\") */\nfn f() {}", ""},
		"strings":               {`fn f() { "std::fs::read(a) \" std::fs::read(a)"; r"\"; r#"" std::fs::read(a)"#; b"std::fs::read(a)"; c"std::fs::read(a)"; cr##""# std::fs::read(a)"##; '"'; '\''; b'"'; '\u{22}'; }`, ""},
		"lifetimes":             {"fn f<'a>(x: &'a str, c: char) { let c = 'a'; 'l: loop { break 'l; } std::fs::read(x); let d = '\\\\'; std::fs::read(x) }", "1 fs::read, 1 fs::read"},
		"modules of their own":  {"use std::fs;\nmod a { fn f() { fs::read(\"a\"); } }\nmod b { use super::*; fn f() { fs::read(\"a\"); } }\nmod c { use std::thread; }\nfn f() { thread::spawn(f); { use std::thread; thread::spawn(f); } }", "3 fs::read, 5 thread::spawn"},
		"tests":                 {"use std::fs;\n#[cfg(test)]\nmod tests { use super::*; #[test] fn f() { fs::read(\"a\"); } }\n#[cfg(test)] use std::thread::{self};\n#[test]\nfn g<A, B>() { fs::read(\"a\"); }\n#[tokio::test(flavor = \"a\")] #[ignore] async fn h() { fs::read(\"a\"); }\nfn i() { fs::read(\"a\"); }", "8 fs::read"},
		"not for this target":   {"#[cfg(not(target_family = \"wasm\"))]\n#[derive(A)]\npub fn a() -> [u8; 3] { std::fs::read(\"a\") }\nfn b() { #[cfg(unix)] std::fs::read(\"a\"); match x { #[cfg(unix)] 1 => std::fs::read(\"a\"), 2 => std::fs::read(\"b\"), } }", "4 fs::read"},
		"a file for tests":      {"#![allow(unused)]\n#![cfg(test)]\nfn a() { std::fs::read(\"a\"); }\n#[a] fn b() { std::fs::read(\"a\"); }", ""},
		"attributes":            {"#![no_std]\n#[derive(Debug)]\n#[cfg_attr(test, ignore)]\n#[doc = \"a\"]\nfn a() { std::fs::read(\"a\"); }", "5 fs::read"},
	} {
		var got []string
		for _, u := range absentUses(tc.src) {
			got = append(got, fmt.Sprint(u.Line, " ", u.Call))
		}
		if text := strings.Join(got, ", "); text != tc.want {
			t.Errorf("%s: %q, want %q", name, text, tc.want)
		}
	}
}

// FuzzAbsentCalls reads anything, and finds a call behind anything that is a comment or a string.
func FuzzAbsentCalls(f *testing.F) {
	for _, s := range []string{"fn f() { std::fs::read(\"a\") }", "use a::{b::{c as d, *}, self};", "#![cfg(x)] ) }", "#[cfg(test)]", "'", "'\\", "b'", "r#", "br##\"", "/*", "\"\\", "use {{{,,", "fn", "mod a {", "::", "r#é ü٣", "<A>::b::", "#![", "\x80\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, u := range absentUses(text) {
			if u.Line < 1 || u.Line > strings.Count(text, "\n")+1 || u.Call == "" || u.Why == "" {
				t.Errorf("%q: %+v", text, u)
			}
		}
		const end = "\"####"
		quoted := strings.ReplaceAll(text, end, "")
		line := strings.ReplaceAll(text, "\n", " ")
		nested := strings.NewReplacer("/", "", "*", "").Replace(text)
		src := "//" + line + "\n/* " + nested + " */ const A: &str = r####\"" + quoted + end + ";\nfn f() { std::fs::read(A); }\n"
		got := absentUses(src)
		if want := 3 + strings.Count(nested, "\n") + strings.Count(quoted, "\n"); strings.Contains(quoted, end) || len(got) == 1 && got[0].Line == want && got[0].Call == "fs::read" {
			return
		}
		t.Errorf("in %q there is %+v", src, got)
	})
}

func TestTokensHaveTheirLines(t *testing.T) {
	t.Parallel()
	var got []string
	for _, tok := range tokens("a\n/*\n*/ b::c\n\"\n\" 'x' 1.5e3 _d {") {
		got = append(got, fmt.Sprint(tok.line, tok.text))
	}
	if want := []string{"1a", "3b", "3::", "3c", "5.", "5_d", "5{"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
