package filter

import (
	"strings"

	"github.com/antlr/antlr4/runtime/Go/antlr"
	cesql "github.com/cloudevents/sdk-go/sql/v2"
	"github.com/cloudevents/sdk-go/sql/v2/expression"
	"github.com/cloudevents/sdk-go/sql/v2/gen"
	"github.com/cloudevents/sdk-go/sql/v2/parser"
)

// build makes an expression of what was parsed, as parser.NewExpressionVisitor of the SDK does, with another LIKE. What has no expressions in it is made by the SDK.
func build(tree antlr.ParseTree) cesql.Expression {
	switch t := tree.(type) {
	case *gen.CesqlContext:
		return build(t.Expression())
	case *gen.SubExpressionContext:
		return build(t.Expression())
	case *gen.LikeExpressionContext:
		pattern, _ := literal(t.StringLiteral()).(string)
		return negated(t.NOT() != nil, newLike(build(t.Expression()), pattern))
	case *gen.InExpressionContext:
		set, _ := t.SetExpression().(*gen.SetExpressionContext)
		return negated(t.NOT() != nil, expression.NewInExpression(build(t.Expression()), buildAll(set.AllExpression())))
	case *gen.FunctionInvocationExpressionContext:
		arguments, _ := t.FunctionParameterList().(*gen.FunctionParameterListContext)
		return expression.NewFunctionInvocationExpression(strings.ToUpper(t.FunctionIdentifier().GetText()), buildAll(arguments.AllExpression()))
	case *gen.UnaryLogicExpressionContext:
		return expression.NewNotExpression(build(t.Expression()))
	case *gen.UnaryNumericExpressionContext:
		return expression.NewNegateExpression(build(t.Expression()))
	case *gen.BinaryLogicExpressionContext:
		return binary(t.AllExpression(), logic(t))
	case *gen.BinaryComparisonExpressionContext:
		return binary(t.AllExpression(), comparison(t))
	case *gen.BinaryMultiplicativeExpressionContext:
		return binary(t.AllExpression(), multiplication(t))
	case *gen.BinaryAdditiveExpressionContext:
		if t.PLUS() != nil {
			return binary(t.AllExpression(), expression.NewSumExpression)
		}
		return binary(t.AllExpression(), expression.NewDifferenceExpression)
	}
	expr, ok := tree.Accept(parser.NewExpressionVisitor()).(cesql.Expression)
	if !ok {
		panic(&SyntaxError{Position: 1, Problem: "this is not a CESQL expression"}) // for parseTree, which answers it
	}
	return expr
}

func buildAll(trees []gen.IExpressionContext) (out []cesql.Expression) {
	for _, t := range trees {
		out = append(out, build(t))
	}
	return out
}

func negated(not bool, e cesql.Expression) cesql.Expression {
	if not {
		return expression.NewNotExpression(e)
	}
	return e
}

type operator func(left, right cesql.Expression) cesql.Expression

func binary(sides []gen.IExpressionContext, make operator) cesql.Expression {
	return make(build(sides[0]), build(sides[1]))
}

func logic(t *gen.BinaryLogicExpressionContext) operator {
	switch {
	case t.AND() != nil:
		return expression.NewAndExpression
	case t.OR() != nil:
		return expression.NewOrExpression
	}
	return expression.NewXorExpression
}

func comparison(t *gen.BinaryComparisonExpressionContext) operator {
	switch {
	case t.LESS() != nil:
		return expression.NewLessExpression
	case t.LESS_OR_EQUAL() != nil:
		return expression.NewLessOrEqualExpression
	case t.GREATER() != nil:
		return expression.NewGreaterExpression
	case t.GREATER_OR_EQUAL() != nil:
		return expression.NewGreaterOrEqualExpression
	case t.EQUAL() != nil:
		return expression.NewEqualExpression
	}
	return expression.NewNotEqualExpression
}

func multiplication(t *gen.BinaryMultiplicativeExpressionContext) operator {
	switch {
	case t.STAR() != nil:
		return expression.NewMultiplicationExpression
	case t.MODULE() != nil:
		return expression.NewModuleExpression
	}
	return expression.NewDivisionExpression
}
