package rustbuild

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word of Rust, "::", or one other character. Comments, strings, characters, numbers and lifetimes are none.
type token struct {
	text string
	line int // from 1
}

// word says whether it is a name or a keyword.
func (t token) word() bool { return t.text != "" && isWord(firstRune(t.text)) }

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) }

func inWord(r rune) bool { return isWord(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r) }

// tokens takes a source apart. rustc has compiled it, so what makes no sense need not be found; it only must not end badly.
func tokens(src string) []token {
	l := lexer{src: src, line: 1}
	for l.src != "" {
		l.next()
	}
	return l.out
}

type lexer struct {
	src  string // what is left
	line int
	out  []token
}

func (l *lexer) skip(n int) {
	n = min(n, len(l.src))
	l.line += strings.Count(l.src[:n], "\n")
	l.src = l.src[n:]
}

func (l *lexer) emit(n int) {
	l.out = append(l.out, token{l.src[:n], l.line})
	l.skip(n)
}

func (l *lexer) next() {
	r, size := utf8.DecodeRuneInString(l.src)
	switch {
	case strings.HasPrefix(l.src, "//"):
		l.skipTo("\n")
	case strings.HasPrefix(l.src, "/*"):
		l.comment()
	case r == '"':
		l.text(1)
	case r == '\'':
		l.quote()
	case isWord(r):
		l.word()
	case unicode.IsDigit(r):
		l.skip(wordLen(l.src)) // 1.0 is 1, a point and 0, which does no harm
	case unicode.IsSpace(r):
		l.skip(size)
	case strings.HasPrefix(l.src, "::"):
		l.emit(2)
	default:
		l.emit(size)
	}
}

// skipTo skips to the end of what begins here, or of the source.
func (l *lexer) skipTo(end string) {
	i := strings.Index(l.src, end)
	if i < 0 {
		i = len(l.src)
	}
	l.skip(i + len(end))
}

// comment skips one that may have others in it.
func (l *lexer) comment() {
	for depth := 0; l.src != ""; {
		switch {
		case strings.HasPrefix(l.src, "/*"):
			depth++
			l.skip(2)
		case strings.HasPrefix(l.src, "*/"):
			l.skip(2)
			if depth--; depth == 0 {
				return
			}
		default:
			l.skip(1)
		}
	}
}

// text skips a string whose quote is the last of the first n bytes.
func (l *lexer) text(n int) {
	l.skip(n)
	for l.src != "" {
		switch l.src[0] {
		case '\\':
			l.skip(2)
		case '"':
			l.skip(1)
			return
		default:
			l.skip(1)
		}
	}
}

// quote skips a character, or of a lifetime the quote.
func (l *lexer) quote() {
	rest := l.src[1:]
	if strings.HasPrefix(rest, `\`) {
		l.skip(3) // what is behind the backslash may be a quote
		l.skipTo("'")
		return
	}
	_, size := utf8.DecodeRuneInString(rest)
	if strings.HasPrefix(rest[size:], "'") && rest[0] != '\'' {
		l.skip(1 + size + 1)
		return
	}
	l.skip(1 + wordLen(rest))
}

// word is one, or the beginning of a string that is raw or of bytes.
func (l *lexer) word() {
	n := wordLen(l.src)
	switch prefix, rest := l.src[:n], l.src[n:]; {
	case strings.HasPrefix(rest, `"`) && (prefix == "b" || prefix == "c"):
		l.text(n + 1)
	case strings.HasPrefix(rest, "'") && prefix == "b":
		l.skip(n)
		l.quote()
	case prefix == "r" || prefix == "br" || prefix == "cr":
		hashes := len(rest) - len(strings.TrimLeft(rest, "#"))
		switch {
		case strings.HasPrefix(rest[hashes:], `"`):
			l.skip(n + hashes + 1)
			l.skipTo(`"` + strings.Repeat("#", hashes))
		case prefix == "r" && hashes == 1: // r#name is a name, whatever keyword it looks like
			l.skip(n + 1)
			if n := wordLen(l.src); n > 0 {
				l.out = append(l.out, token{"r#" + l.src[:n], l.line})
				l.skip(n)
			}
		default:
			l.emit(n)
		}
	default:
		l.emit(n)
	}
}

func wordLen(s string) int {
	if i := strings.IndexFunc(s, func(r rune) bool { return !inWord(r) }); i >= 0 {
		return i
	}
	return len(s)
}
