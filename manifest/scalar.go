package manifest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/evoke-run/evoke/api"
)

// duration reads a length of time above zero into out.
func (d *decoder) duration(out *api.Duration) func(value) {
	return func(v value) {
		if v.tell(schema{Type: "string", Examples: []any{"500ms", "30s", "14d"}}) {
			return
		}
		if _, isInt := v.node.(*ast.IntegerNode); isInt {
			d.fault(v.at(), "%s: %s has no unit; try %ss", v.path, kindName(v.node), kindName(v.node))
			return
		}
		s, ok := d.text(v, "a duration like 500ms, 30s or 14d")
		if !ok {
			return
		}
		t, err := api.ParseDuration(s)
		if err != nil {
			d.fault(v.at(), "%s: %v", v.path, err)
			return
		}
		if t < time.Millisecond {
			d.fault(v.at(), "%s: %s is too short, the least is 1ms", v.path, s)
			return
		}
		*out = api.Duration(t)
	}
}

// memory reads a size in bytes into out.
func (d *decoder) memory(out *int64) func(value) {
	return func(v value) {
		if v.tell(schema{Type: "string", Examples: []any{"64Mi", "1Gi"}}, schema{Type: "integer"}) {
			return
		}
		s, ok := d.scalar(v)
		if !ok {
			return
		}
		n, err := api.ParseSize(s)
		switch {
		case err != nil:
			d.fault(v.at(), "%s: %v", v.path, err)
		default:
			*out = n
		}
	}
}

// integer reads a whole number from least to most into out.
func (d *decoder) integer(out *int, least, most int) func(value) {
	return func(v value) {
		if v.tell(schema{Type: "integer", Minimum: &least, Maximum: &most}) {
			return
		}
		n, ok := v.node.(*ast.IntegerNode)
		if !ok {
			d.wrongType(v, "a whole number")
			return
		}
		i, err := strconv.Atoi(fmt.Sprint(n.Value))
		if err != nil || i < least || i > most {
			d.fault(v.at(), "%s must be from %d to %d, not %s", v.path, least, most, kindName(n))
			return
		}
		*out = i
	}
}

// limit reads a number of things that may be at once. Zero is no way to say that there is none: it might be meant to stop everything.
func (d *decoder) limit(out *int) func(value) {
	read := d.integer(out, 1, api.MaxLimit)
	return func(v value) {
		if n, ok := v.node.(*ast.IntegerNode); ok && v.out == nil && fmt.Sprint(n.Value) == "0" {
			d.fault(v.at(), "%s: a limit of 0 would let nothing run; leave it out for no limit, or use fnctl pause", v.path)
			return
		}
		read(v)
	}
}

// factor reads a number from 1 to 10 into out.
func (d *decoder) factor(out *float64) func(value) {
	return func(v value) {
		least, most := 1, 10
		if v.tell(schema{Type: "number", Minimum: &least, Maximum: &most}) {
			return
		}
		var f float64
		switch n := v.node.(type) {
		case *ast.IntegerNode:
			f, _ = strconv.ParseFloat(fmt.Sprint(n.Value), 64) // digits always parse; too many become +Inf and are refused
		case *ast.FloatNode:
			f = n.Value
		default:
			d.wrongType(v, "a number")
			return
		}
		if !(f >= 1 && f <= 10) {
			d.fault(v.at(), "%s must be from 1 to 10, not %s", v.path, kindName(v.node))
			return
		}
		*out = f
	}
}

func (d *decoder) boolean(out *bool) func(value) {
	return func(v value) {
		if v.tell(schema{Type: "boolean"}) {
			return
		}
		b, ok := v.node.(*ast.BoolNode)
		if !ok {
			d.wrongType(v, "true or false")
			return
		}
		*out = b.Value
	}
}

// oneOf reads one of a few words into out.
func (d *decoder) oneOf(out *string, words ...string) func(value) {
	want := strings.Join(words, " or ")
	return func(v value) {
		if v.tell(schema{Type: "string", Enum: words}) {
			return
		}
		s, ok := d.text(v, want)
		if !ok {
			return
		}
		for _, w := range words {
			if s == w {
				*out = s
				return
			}
		}
		d.fault(v.at(), "%s must be %s, not %q", v.path, want, shorten(s))
	}
}

// anyText reads text that is not empty into out; want says what it is.
func (d *decoder) anyText(out *string, want string) func(value) {
	return func(v value) {
		if v.tell(schema{Type: "string", MinLength: 1}) {
			return
		}
		s, ok := d.text(v, want)
		if !ok {
			return
		}
		if strings.TrimSpace(s) == "" {
			d.fault(v.at(), "%s is empty; it must be %s", v.path, want)
			return
		}
		*out = s
	}
}

// IsName says whether an app or a function may be called so: names are parts of paths and host names.
func IsName(s string) bool { return nameForm.MatchString(s) }

var nameForm = regexp.MustCompile(namePattern)

const namePattern = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`

// NameRule says what IsName wants.
const NameRule = "1 to 63 lower-case letters, digits and -, beginning and ending with a letter or digit"

var (
	isTopic        = regexp.MustCompile(topicPattern).MatchString
	isTopicPattern = regexp.MustCompile(topicsPattern).MatchString
)

const (
	topicPattern  = `^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`
	topicsPattern = `^(([A-Za-z0-9_-]+|\*)\.)*([A-Za-z0-9_-]+|\*|>)$`
)

const topicRule = "letters, digits, - and _ in tokens joined by dots, like orders.created"

// topicName reads a topic, or with pattern also one with * and >.
func (d *decoder) topicName(v value, pattern bool) string {
	if pattern && v.tell(schema{Type: "string", Pattern: topicsPattern}) || v.tell(schema{Type: "string", Pattern: topicPattern}) {
		return ""
	}
	s, ok := d.text(v, "a topic like orders.created")
	switch {
	case !ok:
		return ""
	case len(s) <= 255 && (isTopic(s) || pattern && isTopicPattern(s)):
		return s
	case pattern:
		d.fault(v.at(), "%s: %q is not a topic: it is %s; * stands for one token, > at the end for the rest", v.path, shorten(s), topicRule)
	default:
		d.fault(v.at(), "%s: %q is not a topic: it is %s", v.path, shorten(s), topicRule)
	}
	return ""
}
