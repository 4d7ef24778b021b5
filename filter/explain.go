package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/evoke-run/evoke/event"
)

// Explanation says what a filter, or a rule in it, made of an event, and why.
type Explanation struct {
	// Rule is where it stands in the filter, such as all[1].exact.type; "" for the whole.
	Rule    string `json:"rule"`
	Matched bool   `json:"matched"`
	// Field is what the rule looks at, an attribute or data.PATH; Value what the event has there, nil for nothing.
	Field string  `json:"field,omitempty"`
	Value *string `json:"value,omitempty"`
	// Wants is what the rule asks for: in words, or the expression.
	Wants string `json:"wants"`
	// Found is what a CESQL expression came to, with the attributes in it.
	Found string `json:"found,omitempty"`
	// Error is in what a CESQL expression ended. Such a rule does not match.
	Error string `json:"error,omitempty"`
	// Decided is set at one place of an explanation: at the rule that made the whole what it is.
	Decided bool          `json:"decided,omitempty"`
	Parts   []Explanation `json:"parts,omitempty"`

	op combination
}

// combination is what a rule makes of its parts.
type combination uint8

const (
	single combination = iota
	allOf
	anyOf
	noneOf
)

// Explain is Match with the reasons.
func (f *Filter) Explain(e *event.Event) Explanation {
	x := Explanation{Matched: true, Wants: "there is no rule, so every event matches"}
	if f.rule != nil {
		x = f.rule.explain(f.view(e), "")
	}
	x.deciding().Decided = true
	return x
}

// Deciding is the part that made the whole what it is: the first that does not match where all must, the one that does where one is enough, and the
// one that ended in the error of the whole. Where several did it together it is the rule around them.
func (x Explanation) Deciding() Explanation { return *x.deciding() }

func (x *Explanation) deciding() *Explanation {
	for {
		next := slices.IndexFunc(x.Parts, func(p Explanation) bool {
			switch {
			case x.Error != "":
				return p.Error != ""
			case len(x.Parts) == 1 && x.op != noneOf:
				return true
			}
			return x.op == allOf && !x.Matched && !p.Matched || x.op == anyOf && x.Matched && p.Matched
		})
		if next < 0 {
			return x
		}
		x = &x.Parts[next]
	}
}

// Text is all of it for people: a line for each rule, those in it indented, and an arrow at the one that decided.
func (x Explanation) Text() string {
	var b strings.Builder
	x.write(&b, 0)
	return b.String()
}

func (x Explanation) write(b *strings.Builder, depth int) {
	arrow, answer, line := " ", "no", x.String()
	if x.Decided {
		arrow = "→"
	}
	if x.Matched {
		answer = "yes"
	}
	if x.op == noneOf && x.Found == "" && x.Error == "" {
		line = placeLine(x.Rule, x.Wants) // what is in it has lines of its own
	}
	fmt.Fprintf(b, "%s %-3s  %s%s\n", arrow, answer, strings.Repeat("  ", depth), strings.Join(strings.Fields(line), " "))
	for _, p := range x.Parts {
		p.write(b, depth+1)
	}
}

func placeLine(rule, text string) string {
	if rule == "" {
		return text
	}
	return rule + ": " + text
}

// String is one line for people.
func (x Explanation) String() string {
	var b strings.Builder
	switch {
	case x.Error != "":
		fmt.Fprintf(&b, "%s ends in an error: %s", x.Wants, x.Error)
	case x.Found != "":
		fmt.Fprintf(&b, "%s is %s", x.Wants, x.Found)
	case x.op == noneOf:
		fmt.Fprintf(&b, "%s (%s)", x.Wants, x.Parts[0].Deciding())
	case x.Field == "":
		b.WriteString(x.Wants)
	case x.Value == nil:
		fmt.Fprintf(&b, "wants %s that %s; the event has none", x.Field, x.Wants)
	default:
		fmt.Fprintf(&b, "wants %s that %s; the event has %s", x.Field, x.Wants, *x.Value)
	}
	return placeLine(x.Rule, b.String())
}

// show is what a field has, for people: texts in quotes, numbers and booleans of data as they are written.
func (f field) show(v *view) *string {
	if f.path != nil {
		d, ok := v.data(f.path)
		if !ok {
			return nil
		}
		text := d.show()
		return &text
	}
	text, ok := v.event.Attribute(f.attribute)
	if !ok {
		return nil
	}
	text = clip(text)
	return &text
}

func (d datum) show() string {
	switch d.kind {
	case nullKind:
		return "null"
	case stringKind:
		return clip(d.text)
	case objectKind:
		return "an object"
	case listKind:
		const most = 10
		var out []string
		for i, m := range d.members {
			if i == most {
				out = append(out, "…")
				break
			}
			out = append(out, m.show())
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	return d.text
}

func (r *textRule) explain(v *view, at string) Explanation {
	return Explanation{Rule: at, Matched: r.match(v), Field: r.field.String(), Value: r.field.show(v), Wants: r.op.say(r.want)}
}

func (r *dataRule) explain(v *view, at string) Explanation {
	out := Explanation{Rule: at, Matched: r.match(v), Field: r.field.String(), Value: r.field.show(v)}
	words := make([]string, len(r.patterns))
	for i, p := range r.patterns {
		words[i] = p.say()
	}
	out.Wants = strings.Join(words, " or ")
	return out
}

func (r within) explain(v *view, at string) Explanation { return r.rule.explain(v, placeIn(at, r.at)) }

func placeIn(at, inner string) string {
	if at == "" || inner == "" || strings.HasPrefix(inner, "[") {
		return at + inner
	}
	return at + "." + inner
}

func (r allRule) explain(v *view, at string) Explanation {
	out := explainParts(r, v, at)
	out.op, out.Matched = allOf, r.match(v)
	out.Wants = "all " + strconv.Itoa(len(r)) + " rules must match"
	if out.Matched {
		out.Wants = "all " + strconv.Itoa(len(r)) + " rules match"
	}
	return out
}

func (r anyRule) explain(v *view, at string) Explanation {
	out := explainParts(r, v, at)
	out.op, out.Matched = anyOf, r.match(v)
	out.Wants = "one of " + strconv.Itoa(len(r)) + " rules must match, and none does"
	if out.Matched {
		out.Wants = "one of " + strconv.Itoa(len(r)) + " rules matches"
	}
	return out
}

func (r notRule) explain(v *view, at string) Explanation {
	part := r.rule.explain(v, at)
	out := Explanation{Rule: at, op: noneOf, Matched: !part.Matched, Wants: "the rule in it must not match, and it does", Parts: []Explanation{part}}
	if out.Matched {
		out.Wants = "the rule in it does not match"
	}
	return out
}

func explainParts(parts []placed, v *view, at string) Explanation {
	out := Explanation{Rule: at}
	for _, p := range parts {
		out.Parts = append(out.Parts, p.rule.explain(v, placeIn(at, p.at)))
	}
	return out
}
