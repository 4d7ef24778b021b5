package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/antlr/antlr4/runtime/Go/antlr"
	"github.com/cloudevents/sdk-go/sql/v2/gen"
)

// listener ends the lexer or the parser at the first error, by a panic with *SyntaxError that parse recovers: later errors are mostly consequences
// of the first, and the parser's attempts to recover take seconds on a few KiB of nonsense.
type listener struct{ antlr.DefaultErrorListener }

func (l *listener) SyntaxError(r antlr.Recognizer, symbol any, line, column int, msg string, _ antlr.RecognitionException) {
	p, isParser := r.(antlr.Parser)
	token, isToken := symbol.(antlr.Token)
	if !isParser || !isToken {
		panic(lexical(r, column))
	}
	found := clip(token.GetText())
	if token.GetTokenType() == antlr.TokenEOF {
		found = "the end"
	}
	panic(faultAt(token, fmt.Sprintf("found %s, expected %s", found, expected(p))))
}

// lexical reports a character that begins no token. The column of ANTLR restarts at every line, so the position is taken from the stream.
func lexical(r antlr.Recognizer, column int) *SyntaxError {
	lexer, ok := r.(antlr.Lexer)
	if !ok {
		return &SyntaxError{Position: column + 1, Problem: "this is not a CESQL expression"}
	}
	in := lexer.GetInputStream()
	at := in.Index()
	if base, ok := r.(*gen.CESQLParserLexer); ok {
		at = base.TokenStartCharIndex
	}
	return &SyntaxError{Position: at + 1, Problem: fmt.Sprintf("%s has no meaning here; attribute names are letters and digits, strings stand in quotes",
		clip(in.GetText(at, at)))}
}

// expected names what the grammar would take next, in words instead of token names.
func expected(p antlr.Parser) string {
	// The set gives its members away only as text: "{NOT, TRUE}", or the name alone.
	set := strings.Split(strings.Trim(p.GetExpectedTokens().StringVerbose(nil, p.GetSymbolicNames(), false), "{}"), ", ")
	afterValue := !slices.Contains(set, "TRUE") && slices.ContainsFunc(set, func(t string) bool { return t == "<EOF>" || t == "COMMA" || t == "RR_BRACKET" })
	if afterValue && !slices.Contains(set, "EQUAL") {
		set = append(set, "EQUAL") // the parser has left the loop over operators, where one could have followed as well
	}
	var words []string
	for _, w := range []struct{ token, word string }{
		{"TRUE", "an attribute, a value, NOT, EXISTS, a function or ("},
		{"EQUAL", "an operator such as = LIKE IN AND OR"},
		{"COMMA", `","`},
		{"RR_BRACKET", `")"`},
		{"<EOF>", "the end"},
	} {
		if slices.Contains(set, w.token) {
			words = append(words, w.word)
		}
	}
	if len(words) == 0 {
		return expectedOther(set)
	}
	return join(words)
}

// expectedOther covers the few places where only one kind of token fits.
func expectedOther(set []string) string {
	for _, w := range []struct{ token, word string }{
		{"SQUOTED_STRING_LITERAL", "a string in quotes"},
		{"IDENTIFIER", "the name of an attribute"},
		{"LIKE", "LIKE or IN"},
		{"LR_BRACKET", `"("`},
		{"EQUAL", "an operator such as = LIKE IN AND OR"},
	} {
		if slices.Contains(set, w.token) {
			return w.word
		}
	}
	return strings.ToLower(strings.Join(set, ", "))
}

func join(words []string) string {
	out := words[0]
	for i, w := range words[1:] {
		if i == len(words)-2 {
			out += " or " + w
		} else {
			out += ", " + w
		}
	}
	return out
}

// clip quotes text for a message and keeps it short.
func clip(s string) string {
	const limit = 40
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
