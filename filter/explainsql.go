package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/antlr/antlr4/runtime/Go/antlr"
	"github.com/cloudevents/sdk-go/sql/v2/gen"
)

// explain reads the expression once more, because a filter does not keep its tree.
func (r *sqlRule) explain(v *view, at string) Explanation {
	var out Explanation
	_, err := parse(r.text, func(tree antlr.Tree) error {
		x := sqlExplainer{view: v, text: []rune(r.text), at: at}
		out = x.explain(tree)
		return nil
	})
	if err != nil { // it was read before
		out = Explanation{Rule: at, Wants: r.text, Error: err.Error()}
	}
	out.Matched = r.match(v)
	return out
}

// sqlExplainer takes an expression apart where AND, OR and NOT join it.
type sqlExplainer struct {
	view *view
	text []rune
	at   string
}

func (x *sqlExplainer) explain(tree antlr.Tree) Explanation {
	switch t := tree.(type) {
	case *gen.CesqlContext:
		return x.explain(t.Expression())
	case *gen.SubExpressionContext:
		return x.explain(t.Expression())
	case *gen.UnaryLogicExpressionContext:
		out := x.whole(t)
		out.op, out.Parts = noneOf, []Explanation{x.explain(t.Expression())}
		return out
	case *gen.BinaryLogicExpressionContext:
		out := x.whole(t)
		if t.XOR() != nil {
			return out
		}
		left := x.explain(t.Expression(0))
		out.Parts = []Explanation{left}
		if left.Error == "" && left.Matched == (t.AND() != nil) { // else the right side is not looked at
			out.Parts = append(out.Parts, x.explain(t.Expression(1)))
		}
		out.op = anyOf
		if t.AND() != nil {
			out.op = allOf
		}
		return out
	case antlr.ParserRuleContext:
		return x.whole(t)
	}
	return Explanation{Rule: x.at}
}

// whole explains an expression without its parts.
func (x *sqlExplainer) whole(t antlr.ParserRuleContext) Explanation {
	out := Explanation{Rule: x.at, Wants: string(x.text[t.GetStart().GetStart() : t.GetStop().GetStop()+1])}
	r := x.view.evaluate(build(t))
	out.Matched = r.Err == nil && truth(r.Value)
	if r.Err != nil {
		out.Error = r.Err.Error()
		return out
	}
	out.Found = showValue(r.Value)
	if _, isBool := r.Value.(bool); !isBool {
		out.Found += ", which is neither true nor false"
	}
	for _, name := range names(t, nil) {
		f := field{attribute: name}
		if value := f.show(x.view); value != nil {
			out.Found += fmt.Sprintf("; %s is %s", name, *value)
		} else {
			out.Found += fmt.Sprintf("; there is no %s", name)
		}
	}
	return out
}

// truth is what AND, OR and NOT make of a value.
func truth(value any) bool {
	switch value := value.(type) {
	case bool:
		return value
	case int32:
		return value != 0
	case string:
		return strings.EqualFold(value, "true")
	}
	return false
}

func showValue(value any) string {
	if s, ok := value.(string); ok {
		return clip(s)
	}
	return fmt.Sprint(value)
}

// names are the attributes in an expression, each once.
func names(tree antlr.Tree, found []string) []string {
	if id, ok := tree.(*gen.IdentifierContext); ok {
		if name := strings.ToLower(id.GetText()); !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	for _, child := range tree.GetChildren() {
		found = names(child, found)
	}
	return found
}
