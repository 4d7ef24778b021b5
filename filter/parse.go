package filter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/antlr/antlr4/runtime/Go/antlr"
	cesql "github.com/cloudevents/sdk-go/sql/v2"
	"github.com/cloudevents/sdk-go/sql/v2/gen"
	"github.com/cloudevents/sdk-go/sql/v2/parser"
	"github.com/cloudevents/sdk-go/sql/v2/runtime"
)

const (
	// MaxText is the longest filter, in bytes.
	MaxText = 8 << 10
	// maxDepth bounds the parentheses, NOT and minus signs around one value, and the brackets of a filter that is JSON: the parsers recurse for each.
	maxDepth = 32
	// maxTokens bounds the work of one parse, and of one match against attributes of 64 KiB.
	maxTokens = 1024
)

// SyntaxError says where a filter stops making sense.
type SyntaxError struct {
	// Position counts characters from 1.
	Position int
	// Path is where it is in a filter that is written as JSON, such as all[1].exact; "" when that is the whole, and in an expression.
	Path    string
	Problem string
}

func (e *SyntaxError) Error() string {
	where := fmt.Sprintf("at character %d", e.Position)
	if e.Path != "" {
		where += ", " + e.Path
	}
	return where + ": " + e.Problem
}

// Parse reads a filter: a CESQL expression, or, when it begins with { or [, a filter or a list of filters of the CloudEvents Subscriptions API as JSON. Empty text, or only
// space, matches every event. The error is a *SyntaxError, or says which bound was broken.
//
// AND, OR and XOR have the same precedence in the SDK's grammar and bind to the right; parentheses make a mixture readable.
func Parse(text string) (*Filter, error) {
	if at, deep := tooDeep(text); deep {
		return nil, faultIn(text, at, "", fmt.Sprintf("nested more than %d deep", maxDepth))
	}
	if len(text) > MaxText {
		return nil, fmt.Errorf("filter has %d bytes, the limit is %d", len(text), MaxText)
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("filter is not valid UTF-8")
	}
	if strings.TrimSpace(text) == "" {
		return &Filter{text: text}, nil
	}
	r, err := parseRule(text)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return &Filter{text: text}, nil
	}
	return newFilter(text, r), nil
}

func parseRule(text string) (rule, error) {
	if !isJSONText(text) {
		return parseSQL(text)
	}
	n, err := readJSON(text)
	if err != nil {
		return nil, err
	}
	return builder{text}.filter(n)
}

// parse turns panics into errors: those of listener, and any of the generated parser. Whatever a filter holds, it must not end the process. check may refuse what was
// read.
//
// It drives the SDK's grammar itself because parser.Parse leaves ANTLR's console listener on the lexer, which prints to stderr, and panics in its
// own listener on errors that carry no exception.
func parse(text string, check func(antlr.Tree) error) (expr cesql.Expression, err error) {
	return parseTree(text, func(tree antlr.Tree) error {
		if err := checkFunctions(tree); err != nil {
			return err
		}
		return check(tree)
	})
}

// parseAny is parse for expressions whose value is asked, and not whether they make a filter.
func parseAny(text string) (cesql.Expression, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, &SyntaxError{Position: 1, Problem: "the expression is empty"}
	case len(text) > MaxText:
		return nil, fmt.Errorf("the expression has %d bytes, the limit is %d", len(text), MaxText)
	case !utf8.ValidString(text):
		return nil, fmt.Errorf("the expression is not valid UTF-8")
	}
	return parseTree(text, func(antlr.Tree) error { return nil })
}

func parseTree(text string, check func(antlr.Tree) error) (expr cesql.Expression, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *SyntaxError:
			expr, err = nil, r
		default:
			expr, err = nil, &SyntaxError{Position: 1, Problem: "this is not a CESQL expression"}
		}
	}()
	stop := &listener{}
	lexer := gen.NewCESQLParserLexer(parser.NewCaseChangingStream(antlr.NewInputStream(text), true))
	lexer.RemoveErrorListeners()
	lexer.AddErrorListener(stop)
	tokens := antlr.NewCommonTokenStream(lexer, antlr.TokenDefaultChannel)
	tokens.Fill()
	if err := checkTokens(tokens.GetAllTokens()); err != nil {
		return nil, err
	}
	p := gen.NewCESQLParserParser(tokens)
	p.RemoveErrorListeners()
	p.AddErrorListener(stop)
	tree := p.Cesql()
	if err := check(tree); err != nil {
		return nil, err
	}
	return build(tree), nil
}

// checkTokens bounds what the parser will see, and reports what it would only trip over later.
func checkTokens(tokens []antlr.Token) error {
	if len(tokens) > maxTokens {
		return fmt.Errorf("filter has more than %d words and signs; split it over several triggers", maxTokens)
	}
	depth, run := 0, 0 // run counts the NOT and minus signs in front of a value
	for _, t := range tokens {
		switch t.GetTokenType() {
		case gen.CESQLParserLexerLR_BRACKET:
			depth += run + 1
			run = 0
		case gen.CESQLParserLexerRR_BRACKET:
			depth = max(0, depth-1)
			run = 0
		case gen.CESQLParserLexerNOT, gen.CESQLParserLexerMINUS:
			run++
		case gen.CESQLParserLexerSINGLE_QUOTE_SYMB, gen.CESQLParserLexerDOUBLE_QUOTE_SYMB:
			return faultAt(t, "the string that begins here has no closing "+t.GetText())
		case gen.CESQLParserLexerIDENTIFIER:
			if strings.EqualFold(t.GetText(), "data") {
				return faultAt(t, "CESQL sees the attributes of an event, not its data; a filter for data is written like {\"data\": {\"order.total\": 100}}")
			}
			run = 0
		case gen.CESQLParserLexerINTEGER_LITERAL:
			if _, err := strconv.ParseInt(t.GetText(), 10, 32); err != nil {
				return faultAt(t, fmt.Sprintf("%s is not a 32-bit whole number", clip(t.GetText())))
			}
			run = 0
		default:
			run = 0
		}
		if depth+run > maxDepth {
			return faultAt(t, fmt.Sprintf("nested more than %d deep", maxDepth))
		}
	}
	return nil
}

// checkFunctions finds calls of functions that do not exist; CESQL itself would only say so when an event arrives.
func checkFunctions(tree antlr.Tree) error {
	if call, ok := tree.(*gen.FunctionInvocationExpressionContext); ok {
		name := strings.ToUpper(call.FunctionIdentifier().GetText())
		args := len(call.FunctionParameterList().(*gen.FunctionParameterListContext).AllExpression())
		if runtime.ResolveFunction(name, args) == nil {
			return faultAt(call.GetStart(), fmt.Sprintf("there is no function %s with %d arguments", clip(name), args))
		}
	}
	for _, child := range tree.GetChildren() {
		if err := checkFunctions(child); err != nil {
			return err
		}
	}
	return nil
}

func faultAt(t antlr.Token, problem string) *SyntaxError {
	return &SyntaxError{Position: t.GetStart() + 1, Problem: problem}
}
