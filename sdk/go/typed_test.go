//go:build !wasip1

package evoke_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evoketest"
)

type order struct {
	ID    string `json:"id"`
	Total int    `json:"total"`
}

// echo replies with what its data became.
func echo[T any](_ context.Context, _ *evoke.Event, data T) (evoke.Reply, error) {
	return evoke.Text(fmt.Sprintf("%#v", data)), nil
}

func withData(contentType, data string) *evoke.Event {
	e := evoke.NewEvent("t", nil)
	e.ID = "e1"
	if contentType != "" || data != "" {
		e.SetData(contentType, []byte(data))
	}
	return e
}

func TestTypedGivesTheDataAsItsType(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		h    evoke.Handler
		e    *evoke.Event
		want string
	}{
		{"struct", evoke.Typed(echo[order]), withData("application/json", `{"id":"o1","total":12,"more":true}`), `evoke_test.order{ID:"o1", Total:12}`},
		{"without a content type", evoke.Typed(echo[order]), withData("", `{"total":3}`), `evoke_test.order{ID:"", Total:3}`},
		{"another content type of JSON", evoke.Typed(echo[map[string]int]), withData("application/vnd.shop+json; charset=utf-8", `{"a":1}`), `map[string]int{"a":1}`},
		{"list", evoke.Typed(echo[[]int]), withData("application/json", ` [1, 2] `), `[]int{1, 2}`},
		{"text", evoke.Typed(echo[string]), withData("text/plain", `"hello"`), `"\"hello\""`},
		{"text in JSON", evoke.Typed(echo[string]), withData("application/json", `"hello"`), `"hello"`},
		{"no text", evoke.Typed(echo[string]), withData("text/plain", ""), `""`},
		{"bytes", evoke.Typed(echo[[]byte]), withData("application/json", `{}`), `[]byte{0x7b, 0x7d}`},
		{"no bytes", evoke.Typed(echo[[]byte]), withData("", ""), `[]byte(nil)`},
		{"JSON as it came", evoke.Typed(echo[json.RawMessage]), withData("application/json", `{}`), `json.RawMessage{0x7b, 0x7d}`},
	} {
		var rt evoketest.Runtime
		if got := rt.Deliver(test.h, test.e); got.Verdict != evoketest.Done || string(got.Data) != test.want {
			t.Errorf("%s: %s %s %s, want %s", test.name, got.Verdict, got.Reason, got.Data, test.want)
		}
	}
}

// Data that does not fit is rejected, with words that say which event it is and what is wrong with it. The handler does not see it.
func TestTypedRejectsDataThatDoesNotFit(t *testing.T) {
	t.Parallel()
	never := func(context.Context, *evoke.Event, order) (evoke.Reply, error) {
		t.Error("the handler got what does not fit")
		return evoke.Reply{}, nil
	}
	for _, test := range []struct {
		name, contentType, data, want string
	}{
		{"no data", "", "", `decode the data of event "e1": there is none`},
		{"empty data", "application/json", "", `decode the data of event "e1": there is none`},
		{"another type", "application/json", `{"total":"12"}`, `decode the data of event "e1": json: cannot unmarshal string into Go struct field order.total of type int`},
		{"no JSON", "application/json", `{"total":`, `decode the data of event "e1": unexpected end of JSON input`},
		{"text", "text/plain", `twelve`, `decode the data of event "e1": invalid character 'w' in literal true (expecting 'r'); it says that it is text/plain`},
	} {
		var rt evoketest.Runtime
		got := rt.Deliver(evoke.Typed(never), withData(test.contentType, test.data))
		if got.Verdict != evoketest.Rejected || got.Reason != test.want {
			t.Errorf("%s: %s %q, want %q", test.name, got.Verdict, got.Reason, test.want)
		}
	}
}

func TestTypedHandlerThatIsNil(t *testing.T) {
	t.Parallel()
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "evoke.Typed: the handler is nil") {
			t.Error(p)
		}
	}()
	evoke.Typed[order](nil)
}

// The data of each event is a value of the function's own type.
func ExampleTyped() {
	type Order struct {
		Total int `json:"total"`
	}
	charge := func(_ context.Context, e *evoke.Event, o Order) (evoke.Reply, error) {
		return evoke.Text(fmt.Sprintf("%s pays %d", e.Subject, o.Total)), nil
	}

	// In the function it is func init() { evoke.Handle(evoke.Typed(charge)) }. Here is its test:
	var rt evoketest.Runtime
	for _, data := range []any{Order{Total: 12}, "twelve"} {
		e := evoke.NewEvent("com.shop.order", data)
		e.ID, e.Subject = "o1", "ada"
		got := rt.Deliver(evoke.Typed(charge), e)
		fmt.Println(got.Verdict, string(got.Data)+got.Reason)
	}
	// Output:
	// done ada pays 12
	// rejected decode the data of event "o1": invalid character 'w' in literal true (expecting 'r'); it says that it is text/plain; charset=utf-8
}
