package filter

import (
	"errors"
	"fmt"
	"strings"

	cesql "github.com/cloudevents/sdk-go/sql/v2"
	sqlerrors "github.com/cloudevents/sdk-go/sql/v2/errors"

	"github.com/evoke-run/evoke/event"
)

// Result is what CESQL makes of an expression. There may be both a value and an error: the value is then what the expression counts as.
type Result struct {
	Value any // a string, an int32 or a bool; nil for what cannot be parsed
	Err   error
}

// Kind names the error as the CloudEvents conformance tests do: parse, math, cast, missingAttribute, missingFunction, functionEvaluation or generic; "" for none.
func (r Result) Kind() string {
	var syntax *SyntaxError
	switch {
	case r.Err == nil:
		return ""
	case r.Value == nil || errors.As(r.Err, &syntax):
		return "parse"
	case sqlerrors.IsMathError(r.Err):
		return "math"
	case sqlerrors.IsCastError(r.Err):
		return "cast"
	case sqlerrors.IsMissingAttributeError(r.Err):
		return "missingAttribute"
	case sqlerrors.IsMissingFunctionError(r.Err):
		return "missingFunction"
	case sqlerrors.IsFunctionEvaluationError(r.Err):
		return "functionEvaluation"
	}
	return "generic"
}

// IsCESQL says whether Parse reads a text as a CESQL expression: it is neither JSON nor empty.
func IsCESQL(text string) bool { return strings.TrimSpace(text) != "" && !isJSONText(text) }

// Evaluate answers the value of a CESQL expression for an event. Parse refuses calls of functions that do not exist; here they are an error of the result.
func Evaluate(text string, e *event.Event) Result {
	expr, err := parseAny(text)
	if err != nil {
		return Result{Err: err}
	}
	return (&view{event: e}).evaluate(expr)
}

// evaluate guards against numbers of the event with which built-in functions index strings: SUBSTRING('abc', 2, -9) panics inside the SDK.
func (v *view) evaluate(expr cesql.Expression) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			r = Result{Value: false, Err: sqlerrors.NewFunctionEvaluationError(fmt.Errorf("%v", p))}
		}
	}()
	r.Value, r.Err = expr.Evaluate(v.sdk())
	if n, ok := r.Value.(int); ok {
		r.Value = int32(n) // the SDK's own zero
	}
	return r
}
