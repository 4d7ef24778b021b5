package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/antlr/antlr4/runtime/Go/antlr"
	cesql "github.com/cloudevents/sdk-go/sql/v2"
	"github.com/cloudevents/sdk-go/sql/v2/gen"

	"github.com/evoke-run/evoke/event"
)

// Value is a parsed expression that takes something out of an event: an attribute, a field of its JSON data, or what CESQL makes of attributes.
//
//	subject
//	key                              the event's key: partitionkey, else subject
//	data.customer.id                 of JSON data; numbers and booleans as they are written
//	CONCAT(source, '/', subject)
type Value struct {
	text string
	path []string         // in the data
	key  bool             // the event's own key
	expr cesql.Expression // else
}

// isDataPath: field names joined by dots. A name that has other characters cannot be reached.
var isDataPath = regexp.MustCompile(`^data(\.[A-Za-z0-9_-]+)+$`).MatchString

// maxPath is how deep a path goes.
const maxPath = 32

// ParseValue reads an expression for a text or a number. One that is true or false is refused: two values make no keys. The error is a *SyntaxError, or says what
// else is wrong.
func ParseValue(text string) (*Value, error) {
	return parseValue(text, func(tree antlr.Tree) error {
		if isBoolean(tree) {
			return &SyntaxError{Position: 1, Problem: "this is true or false; a key is a text or a number, such as subject or data.customer"}
		}
		return nil
	})
}

// ParseNumber reads an expression for a number: one that is true or false counts as 1 or 0.
func ParseNumber(text string) (*Value, error) {
	return parseValue(text, func(antlr.Tree) error { return nil })
}

func parseValue(text string, check func(antlr.Tree) error) (*Value, error) {
	v := &Value{text: text}
	switch trimmed := strings.TrimSpace(text); {
	case trimmed == "":
		return nil, errors.New("the expression is empty")
	case len(text) > MaxText:
		return nil, fmt.Errorf("the expression has %d bytes, the limit is %d", len(text), MaxText)
	case !utf8.ValidString(text):
		return nil, errors.New("the expression is not valid UTF-8")
	case trimmed == "key":
		v.key = true
		return v, nil
	case isDataPath(trimmed):
		v.path = strings.Split(trimmed, ".")[1:]
		if len(v.path) > maxPath {
			return nil, fmt.Errorf("the path has %d names, the limit is %d", len(v.path), maxPath)
		}
		return v, nil
	case strings.HasPrefix(trimmed, "data"):
		if at := strings.IndexFunc(trimmed, func(r rune) bool { return !isPathRune(r) }); at > len("data.") || trimmed == "data" || trimmed == "data." {
			return nil, &SyntaxError{Position: 1, Problem: "a path into the data is data.NAME, or data.NAME.NAME; names have letters, digits, - and _, and nothing is done with what it finds"}
		}
	}
	var err error
	if v.expr, err = parse(text, check); err != nil {
		return nil, err
	}
	return v, nil
}

func isPathRune(r rune) bool {
	return r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// isBoolean says whether an expression can only be true or false, as far as its outermost operator tells.
func isBoolean(tree antlr.Tree) bool {
	switch t := tree.(type) {
	case *gen.CesqlContext:
		return isBoolean(t.Expression())
	case *gen.SubExpressionContext:
		return isBoolean(t.Expression())
	case *gen.BooleanAtomContext:
		return true
	case *gen.AtomExpressionContext:
		return isBoolean(t.Atom())
	case *gen.BinaryComparisonExpressionContext, *gen.BinaryLogicExpressionContext, *gen.UnaryLogicExpressionContext, *gen.LikeExpressionContext,
		*gen.ExistsExpressionContext, *gen.InExpressionContext:
		return true
	}
	return false
}

// Text is what the expression makes of an event; ok is false when the event does not have it: no such attribute, no such field, no JSON.
func (v *Value) Text(e *event.Event) (text string, ok bool) {
	switch {
	case v.key:
		return e.Key(), e.Key() != ""
	case v.path != nil:
		return v.field(e.Data)
	}
	result := (&view{event: e}).evaluate(v.expr)
	if result.Err != nil {
		return "", false
	}
	switch got := result.Value.(type) {
	case string:
		return got, got != ""
	case int32:
		return strconv.FormatInt(int64(got), 10), true
	case bool:
		return strconv.FormatBool(got), true
	}
	return "", false
}

// Number is what the expression makes of an event as a whole number; ok is false when there is none.
func (v *Value) Number(e *event.Event) (n int, ok bool) {
	text, ok := v.Text(e)
	switch {
	case !ok:
		return 0, false
	case text == "true":
		return 1, true
	case text == "false":
		return 0, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) {
		return 0, false
	}
	return int(max(math.MinInt32, min(math.MaxInt32, f))), true
}

// String returns the text the value was parsed from.
func (v *Value) String() string { return v.text }

// field walks down the data. Only what lies on the path is looked at closely.
func (v *Value) field(data []byte) (text string, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	for _, name := range v.path {
		if !enter(d, name) {
			return "", false
		}
	}
	token, err := d.Token()
	if err != nil {
		return "", false
	}
	switch token := token.(type) {
	case string:
		return token, token != ""
	case json.Number:
		return token.String(), true
	case bool:
		return strconv.FormatBool(token), true
	}
	return "", false // null, an object or a list
}

// enter goes to the value of a member of the object that comes next.
func enter(d *json.Decoder, name string) bool {
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return false
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if token == name {
			return true
		}
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}
