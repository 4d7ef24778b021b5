package filter

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The dialects of the CloudEvents Subscriptions API, Knative's name for one of them, and our own for data.
const dialects = "exact, prefix, suffix, all, any, not, sql (or cesql) and data"

// builder makes rules of what readJSON read.
type builder struct{ text string }

func (b builder) fault(at int, place, format string, args ...any) error {
	return faultIn(b.text, at, place, fmt.Sprintf(format, args...))
}

// filter is the whole of it: one filter, or a list of which all must match. An empty one matches every event.
func (b builder) filter(n node) (rule, error) {
	if len(n.members) == 0 {
		return nil, nil
	}
	if n.kind == objectKind {
		return b.rule(n, "")
	}
	rules, err := b.list(n, "")
	if err != nil {
		return nil, err
	}
	return all(rules), nil
}

func (b builder) list(n node, place string) (out []placed, err error) {
	for i, m := range n.members {
		at := fmt.Sprintf("[%d]", i)
		r, err := b.rule(m.node, place+at)
		if err != nil {
			return nil, err
		}
		out = append(out, placed{at: at, rule: r})
	}
	return out, nil
}

// rule reads one filter: an object of one dialect.
func (b builder) rule(n node, place string) (rule, error) {
	switch {
	case n.kind != objectKind:
		return nil, b.fault(n.at, place, "a filter is an object such as {\"exact\": {\"type\": \"com.shop.order\"}}, not %s", n.what())
	case len(n.members) == 0:
		return nil, b.fault(n.at, place, "this filter names no dialect; known are %s", dialects)
	case len(n.members) > 1:
		return nil, b.fault(n.members[1].at, place, "a filter has one dialect, and this one has %s and %s; write a list of filters, of which all must match",
			clip(n.members[0].name), clip(n.members[1].name))
	}
	m := n.members[0]
	at := placeOf(place, m.name)
	var r rule
	var err error
	switch m.name {
	case "exact":
		r, err = b.texts(m.node, at, exact)
	case "prefix":
		r, err = b.texts(m.node, at, prefix)
	case "suffix":
		r, err = b.texts(m.node, at, suffix)
	case "all", "any":
		r, err = b.nested(m, at)
	case "not":
		if r, err = b.rule(m.node, at); err == nil {
			r = notRule{unplaced(r)}
		}
	case "sql", "cesql":
		r, err = b.sql(m.node, at)
	case "data":
		r, err = b.data(m.node, at)
	default:
		return nil, b.fault(m.at, place, "there is no dialect %s; known are %s", clip(m.name), dialects)
	}
	if err != nil {
		return nil, err
	}
	return within{placed{at: m.name, rule: r}}, nil
}

func (b builder) nested(m member, place string) (rule, error) {
	if m.kind != listKind || len(m.members) == 0 {
		return nil, b.fault(m.node.at, place, "%s is a list of one filter or more, not %s", m.name, orEmpty(m.node))
	}
	rules, err := b.list(m.node, place)
	if err != nil {
		return nil, err
	}
	if m.name == "any" {
		return anyRule(rules), nil
	}
	return allRule(rules), nil
}

func orEmpty(n node) string {
	if (n.kind == listKind || n.kind == objectKind) && len(n.members) == 0 {
		return "an empty one"
	}
	return n.what()
}

// texts reads the pairs of exact, prefix or suffix.
func (b builder) texts(n node, place string, op texts) (rule, error) {
	if n.kind != objectKind || len(n.members) == 0 {
		return nil, b.fault(n.at, place, "it is an object of attributes and texts such as {\"type\": \"com.shop.order\"}, not %s", orEmpty(n))
	}
	var out allRule
	err := b.each(n, place, func(m member) error {
		at := placeOf(place, m.name)
		f, err := b.field(m, place)
		switch {
		case err != nil:
			return err
		case m.kind != stringKind:
			return b.fault(m.node.at, at, "the value is a text in quotes, not %s; whatever is no text is compared by how it is written", m.what())
		case m.text == "":
			return b.fault(m.node.at, at, "the text is empty; the Subscriptions API wants one of at least one character")
		}
		out = append(out, placed{at: memberName(m.name), rule: &textRule{field: f, op: op, want: m.text}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all(out), nil
}

// each calls f for the members of an object, and refuses a name that is there twice.
func (b builder) each(n node, place string, f func(member) error) error {
	seen := map[string]bool{}
	for _, m := range n.members {
		if seen[m.name] {
			return b.fault(m.at, placeOf(place, m.name), "%s is there twice", clip(m.name))
		}
		seen[m.name] = true
		if err := f(m); err != nil {
			return err
		}
	}
	return nil
}

// isAttribute is what CloudEvents allows.
var isAttribute = regexp.MustCompile(`^[a-z0-9]+$`).MatchString

// field reads the name of an attribute, or data and a path.
func (b builder) field(m member, place string) (field, error) {
	if path, ok := strings.CutPrefix(m.name, "data."); ok {
		p, err := b.path(m, place, path)
		return field{path: p}, err
	}
	switch {
	case m.name == "data":
		return field{}, b.fault(m.at, place, "data is no attribute; name a field of it, such as data.order.total")
	case !isAttribute(m.name):
		try := ""
		if lower := strings.ToLower(m.name); isAttribute(lower) {
			try = "; did you mean " + lower + "?"
		}
		return field{}, b.fault(m.at, place, "%s is no attribute: their names are lower-case letters and digits, and fields of the data are data.NAME%s", clip(m.name), try)
	}
	return field{attribute: m.name}, nil
}

// path reads a path into the data.
func (b builder) path(m member, place, path string) (*dataPath, error) {
	names := strings.Split(path, ".")
	if len(names) > maxPath {
		return nil, b.fault(m.at, place, "the path has %d names, the limit is %d", len(names), maxPath)
	}
	for _, name := range names {
		if name == "" {
			return nil, b.fault(m.at, place, "%s has an empty name; a path is names joined by single dots, such as order.total", clip(m.name))
		}
		if strings.ContainsRune(name, 0) {
			return nil, b.fault(m.at, place, "%s has a zero byte", clip(m.name))
		}
	}
	return newPath(path), nil
}

func (b builder) sql(n node, place string) (rule, error) {
	if n.kind != stringKind || strings.TrimSpace(n.text) == "" {
		return nil, b.fault(n.at, place, "it is a CESQL expression in quotes, such as \"type = 'com.shop.order'\", not %s", n.what())
	}
	r, err := parseSQL(n.text)
	if syntax, ok := err.(*SyntaxError); ok {
		return nil, b.fault(n.at, place, "in the expression, %s", syntax)
	} else if err != nil {
		return nil, b.fault(n.at, place, "%s", err)
	}
	return r, nil
}

// data reads patterns by path.
func (b builder) data(n node, place string) (rule, error) {
	if n.kind != objectKind || len(n.members) == 0 {
		return nil, b.fault(n.at, place, "it is an object of paths and patterns such as {\"order.total\": [{\"numeric\": [\">=\", 100]}]}, not %s", orEmpty(n))
	}
	var out allRule
	err := b.each(n, place, func(m member) error {
		p, err := b.path(m, place, m.name)
		if err != nil {
			return err
		}
		at := placeOf(place, m.name)
		r := &dataRule{field: field{path: p}}
		if m.kind != listKind {
			m.node = node{at: m.node.at, kind: listKind, members: []member{{node: m.node}}}
		} else if len(m.members) == 0 {
			return b.fault(m.node.at, at, "the list of patterns is empty, so nothing could match")
		}
		for i, one := range m.members {
			pattern, err := b.pattern(one.node, fmt.Sprintf("%s[%d]", at, i))
			if err != nil {
				return err
			}
			pattern.at = fmt.Sprintf("[%d]", i)
			r.patterns = append(r.patterns, pattern)
		}
		out = append(out, placed{at: memberName(m.name), rule: r})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all(out), nil
}

// The patterns of the dialect data.
const patterns = "exact, prefix, suffix, numeric and exists"

// pattern reads a plain value, or an object of which all parts must be true.
func (b builder) pattern(n node, place string) (dataPattern, error) {
	if n.kind != objectKind {
		part, err := b.plain(n, place)
		return dataPattern{parts: []dataPart{part}}, err
	}
	if len(n.members) == 0 {
		return dataPattern{}, b.fault(n.at, place, "the pattern is empty; it has at least one of %s", patterns)
	}
	var out dataPattern
	err := b.each(n, place, func(m member) error {
		part, err := b.part(m, place)
		out.parts = append(out.parts, part)
		return err
	})
	return out, err
}

func (b builder) part(m member, place string) (dataPart, error) {
	at := placeOf(place, m.name)
	switch m.name {
	case "exact":
		return b.plain(m.node, at)
	case "prefix", "suffix":
		if m.kind != stringKind || m.text == "" {
			return nil, b.fault(m.node.at, at, "it is a text of at least one character in quotes, not %s", m.what())
		}
		op := prefix
		if m.name == "suffix" {
			op = suffix
		}
		return textPart{op: op, want: m.text}, nil
	case "numeric":
		return b.numeric(m.node, at)
	case "exists":
		if m.kind != booleanKind {
			return nil, b.fault(m.node.at, at, "it is true or false, not %s", m.what())
		}
		return existsPart(m.text == "true"), nil
	}
	return nil, b.fault(m.at, place, "there is no pattern %s; known are %s, and a field further down is named by a path such as \"order.total\"", clip(m.name), patterns)
}

// plain reads a value that must be there just so.
func (b builder) plain(n node, place string) (dataPart, error) {
	switch n.kind {
	case stringKind:
		return textPart{want: n.text}, nil
	case numberKind:
		value, err := b.number(n, place)
		return numberPart{text: n.text, value: value}, err
	case booleanKind, nullKind:
		return wordPart{kind: n.kind, text: n.text}, nil
	}
	return nil, b.fault(n.at, place, "a value to compare with is a text, a number, true, false or null, not %s", n.what())
}

func (b builder) number(n node, place string) (float64, error) {
	value, err := strconv.ParseFloat(n.text, 64)
	if err != nil {
		return 0, b.fault(n.at, place, "%s is too large a number", clip(n.text))
	}
	return value, nil
}

// numeric reads operators and numbers in turn.
func (b builder) numeric(n node, place string) (dataPart, error) {
	const example = `[">=", 100] or [">", 0, "<", 10]`
	if n.kind != listKind || len(n.members) != 2 && len(n.members) != 4 {
		return nil, b.fault(n.at, place, "it is a list of one or two operators, each with its number, such as %s", example)
	}
	r := newRange()
	for i := 0; i < len(n.members); i += 2 {
		operator, bound := n.members[i].node, n.members[i+1].node
		if bound.kind != numberKind {
			return nil, b.fault(bound.at, place, "behind an operator stands a number, not %s; such as %s", bound.what(), example)
		}
		value, err := b.number(bound, place)
		if err != nil {
			return nil, err
		}
		if operator.kind != stringKind || !r.bound(operator.text, value, bound.text) {
			return nil, b.fault(operator.at, place, "%s is no operator; there are =, >, >=, < and <=", operator.what())
		}
	}
	if r.empty() {
		return nil, b.fault(n.at, place, "no number is %s", r.text)
	}
	return r, nil
}

// placeOf says where a member stands: all[1].exact, data["order.total"].
func placeOf(place, name string) string {
	name = memberName(name)
	if place == "" || strings.HasPrefix(name, "[") {
		return place + name
	}
	return place + "." + name
}

// memberName is how a name is written in a place.
func memberName(name string) string {
	if isAttribute(name) {
		return name
	}
	return "[" + clip(name) + "]"
}
