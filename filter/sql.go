package filter

import (
	"strconv"
	"strings"

	"github.com/antlr/antlr4/runtime/Go/antlr"
	cesql "github.com/cloudevents/sdk-go/sql/v2"
	"github.com/cloudevents/sdk-go/sql/v2/gen"
	"github.com/cloudevents/sdk-go/sql/v2/parser"
	ce "github.com/cloudevents/sdk-go/v2/event"
)

// sqlRule is a CESQL expression.
//
// The expressions of the CloudEvents SDK are values without state once they are built, and the only table they look into (the functions) is
// filled before main starts, so match needs no lock.
type sqlRule struct {
	text string
	expr cesql.Expression
	must []clause
}

func parseSQL(text string) (*sqlRule, error) {
	r := &sqlRule{text: text}
	var err error
	r.expr, err = parse(text, func(tree antlr.Tree) error {
		r.must = sqlClauses(tree)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// match: as the CloudEvents Subscriptions API asks for filters, an expression that ends in an error (a missing attribute, a cast that fails) or in something other than a
// boolean does not match.
func (r *sqlRule) match(v *view) bool {
	got := v.evaluate(r.expr)
	return got.Err == nil && got.Value == true
}

func (r *sqlRule) clauses() []clause { return r.must }

func (r *sqlRule) paths(func(*dataPath)) {} // it sees no data

// sdk is the event as the SDK has events.
func (v *view) sdk() ce.Event { return ce.Event{Context: attributes{view: v}} }

// literal is the value of a literal, nil for what is none.
func literal(tree antlr.ParseTree) (v any) {
	expr, ok := tree.Accept(parser.NewExpressionVisitor()).(cesql.Expression)
	if !ok {
		return nil
	}
	v, err := expr.Evaluate(ce.Event{})
	if err != nil {
		return nil
	}
	return v
}

// sqlClauses are what must be true of an event for which an expression is true. None is always right.
func sqlClauses(tree antlr.Tree) []clause {
	switch t := tree.(type) {
	case *gen.CesqlContext:
		return sqlClauses(t.Expression())
	case *gen.SubExpressionContext:
		return sqlClauses(t.Expression())
	case *gen.BinaryLogicExpressionContext:
		switch left, right := sqlClauses(t.Expression(0)), sqlClauses(t.Expression(1)); {
		case t.AND() != nil:
			return both(left, right)
		case t.OR() != nil:
			return either(left, right)
		}
	case *gen.BinaryComparisonExpressionContext:
		return comparisonClauses(t)
	case *gen.LikeExpressionContext:
		if f, ok := identifier(t.Expression()); ok {
			return likeClauses(f, t)
		}
	case *gen.InExpressionContext:
		if f, ok := identifier(t.Expression()); ok {
			return inClauses(f, t)
		}
	case *gen.ExistsExpressionContext:
		return []clause{{existsTerm(field{attribute: strings.ToLower(t.Identifier().GetText())})}}
	case *gen.AtomExpressionContext:
		if f, ok := identifier(t); ok {
			return []clause{{existsTerm(f)}}
		}
	}
	return nil
}

// identifier says which attribute an expression is, if it is nothing else.
func identifier(tree antlr.Tree) (field, bool) {
	switch t := tree.(type) {
	case *gen.SubExpressionContext:
		return identifier(t.Expression())
	case *gen.AtomExpressionContext:
		if a, ok := t.Atom().(*gen.IdentifierAtomContext); ok {
			return field{attribute: strings.ToLower(a.GetText())}, true
		}
	}
	return field{}, false
}

// constant is the value of an expression that is a literal, else nil.
func constant(tree antlr.Tree) any {
	switch t := tree.(type) {
	case *gen.SubExpressionContext:
		return constant(t.Expression())
	case *gen.AtomExpressionContext:
		if _, ok := t.Atom().(*gen.IdentifierAtomContext); !ok {
			return literal(t)
		}
	}
	return nil
}

func comparisonClauses(t *gen.BinaryComparisonExpressionContext) []clause {
	f, left := identifier(t.Expression(0))
	value := constant(t.Expression(1))
	if !left {
		var right bool
		if f, right = identifier(t.Expression(1)); !right {
			return nil
		}
		value = constant(t.Expression(0))
	}
	must := clause{existsTerm(f)} // a comparison with an attribute that is missing is an error
	n, whole := value.(int32)
	switch {
	case t.EQUAL() != nil && left && whole:
		must = clause{rangeTerm(f, float64(n), float64(n))} // the attribute is cast to a number
	case t.EQUAL() != nil && value != nil:
		must = equalClause(f, value, left)
	case whole && (t.GREATER() != nil || t.GREATER_OR_EQUAL() != nil) == left && t.NOT_EQUAL() == nil && t.LESS_GREATER() == nil && t.EQUAL() == nil:
		must = clause{rangeTerm(f, float64(n), most)}
	case whole && (t.LESS() != nil || t.LESS_OR_EQUAL() != nil) == left && t.NOT_EQUAL() == nil && t.LESS_GREATER() == nil && t.EQUAL() == nil:
		must = clause{rangeTerm(f, least, float64(n))}
	}
	return []clause{must}
}

// equalClause has the texts that an attribute may have to be equal to a literal. Of a comparison the left side is cast to the type of the right one.
func equalClause(f field, value any, left bool) clause {
	if s, ok := value.(string); ok && left {
		return clause{textTerm(f, exact, s)}
	}
	if _, ok := value.(bool); ok && left {
		return clause{existsTerm(f)} // whatever number is not 0 is true
	}
	var out clause
	for _, text := range castTexts(value) {
		out = append(out, textTerm(f, exact, text))
	}
	return out
}

// castTexts are how a literal is written in whichever type an attribute may have.
func castTexts(value any) []string {
	switch value := value.(type) {
	case int32:
		return []string{strconv.Itoa(int(value)), strconv.FormatBool(value != 0)}
	case bool:
		if value {
			return []string{"true", "1"}
		}
		return []string{"false", "0"}
	case string:
		out := []string{value}
		if n, err := strconv.ParseInt(value, 10, 32); err == nil {
			out = append(out, strconv.Itoa(int(n)))
		}
		if lower := strings.ToLower(value); lower == "true" || lower == "false" {
			out = append(out, lower)
		}
		return out
	}
	return nil
}

// inClauses: the members of the set are cast to the type of the attribute.
func inClauses(f field, t *gen.InExpressionContext) []clause {
	set, ok := t.SetExpression().(*gen.SetExpressionContext)
	if !ok || t.NOT() != nil {
		return []clause{{existsTerm(f)}}
	}
	var out clause
	for _, expr := range set.AllExpression() {
		value := constant(expr)
		if value == nil || len(out) >= maxTerms-1 {
			return []clause{{existsTerm(f)}}
		}
		out = append(out, equalClause(f, value, false)...)
	}
	return []clause{out}
}

// likeClauses: what stands before the first sign that may be special, and behind the last one, is in every text that fits.
func likeClauses(f field, t *gen.LikeExpressionContext) []clause {
	pattern, ok := literal(t.StringLiteral()).(string)
	if !ok || t.NOT() != nil {
		return []clause{{existsTerm(f)}}
	}
	const special = `%_\`
	first := strings.IndexAny(pattern, special)
	if first < 0 {
		return []clause{{textTerm(f, exact, pattern)}}
	}
	out := []clause{{textTerm(f, prefix, pattern[:first])}}
	if last := pattern[strings.LastIndexAny(pattern, special)+1:]; last != "" {
		out = append(out, clause{textTerm(f, suffix, last)})
	}
	return out
}
