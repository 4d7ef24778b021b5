package filter

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/event"
)

func sample() *event.Event {
	e := &event.Event{
		ID: "1", Source: "/shop", Type: "t", Subject: "s-1",
		Data: []byte(`{"skip":{"id":"no","list":[1,{"id":2}]},"customer":{"id":"c7","vip":true,"age":41.50,"none":null},"a-b_c":"x","customer2":{},"empty":""}`),
	}
	e.SetExtension(event.Extension{Name: "tenant", Value: "blue"})
	e.SetExtension(event.Extension{Name: "level", Value: "3", Kind: event.Integer})
	return e
}

func TestValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"subject":                        "s-1",
		" subject ":                      "s-1",
		"key":                            "s-1",
		"tenant":                         "blue",
		"level":                          "3",
		"level + 4":                      "7",
		"CONCAT(source, '/', tenant)":    "/shop/blue",
		"'all'":                          "all",
		"data.customer.id":               "c7",
		"data.customer.vip":              "true",
		"data.customer.age":              "41.50",
		"data.a-b_c":                     "x",
		"data.customer":                  "-",
		"data.customer.none":             "-",
		"data.customer.absent":           "-",
		"data.customer.id.deeper":        "-",
		"data.skip.list":                 "-",
		"data.empty":                     "-",
		"absent":                         "-",
		"SUBSTRING('abc', 2, 0 - level)": "-",
	} {
		v, err := ParseValue(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, ok := v.Text(sample())
		if !ok {
			got = "-"
		}
		if got != want || v.String() != text {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	v, err := ParseValue("data.x")
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"", "{", "[]", "5", `{"x"`, `{"x":`, `{"y":1`, `{"y":1}`, "\xff", `{"x":}`} {
		if got, ok := v.Text(&event.Event{Data: []byte(data)}); ok {
			t.Errorf("data %q: %q", data, got)
		}
	}
	keyed := sample()
	keyed.SetExtension(event.Extension{Name: "partitionkey", Value: "p"})
	if v, err := ParseValue("key"); err != nil {
		t.Error(err)
	} else if got, _ := v.Text(keyed); got != "p" {
		t.Errorf("key %q", got)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"level": 3, "level * 2": 6, "level > 2": 1, "level > 3": 0, "data.customer.age": 41, "data.customer.vip": 1, "-7": -7, "'12'": 12, "'1e300'": math.MaxInt32, "'-inf'": math.MinInt32,
		"subject": none, "absent": none, "data.absent": none, "'NaN'": none,
	} {
		v, err := ParseNumber(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, ok := v.Number(sample())
		if !ok {
			got = none
		}
		if got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
	if _, err := ParseNumber("level ="); err == nil {
		t.Error("half an expression is a number")
	}
}

const none = -1

func TestValuesThatAreWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "the expression is empty",
		" ":                               "the expression is empty",
		"subject = 's'":                   "at character 1: this is true or false; a key is a text or a number, such as subject or data.customer",
		"(NOT TRUE)":                      "at character 1: this is true or false",
		"EXISTS subject":                  "at character 1: this is true or false",
		"subject IN ('a')":                "at character 1: this is true or false",
		"TRUE":                            "at character 1: this is true or false",
		"subject LIKE 'a%'":               "at character 1: this is true or false",
		"level > 3 AND EXISTS a":          "at character 1: this is true or false",
		"data":                            "at character 1: a path into the data is data.NAME",
		"data.":                           "at character 1: a path into the data is data.NAME",
		"data.a + 1":                      "at character 1: a path into the data is data.NAME",
		"data..a":                         "at character 5: ",
		"CONCAT(data, 'x')":               "at character 8: CESQL sees the attributes of an event, not its data",
		"sub ject":                        "at character 5: ",
		"NOSUCH(subject)":                 "at character 1: there is no function",
		"data" + strings.Repeat(".a", 33): "the path has 33 names, the limit is 32",
		strings.Repeat("a", 8<<10+1):      "the expression has 8193 bytes, the limit is 8192",
		"\xff":                            "the expression is not valid UTF-8",
	} {
		_, err := ParseValue(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	var syntax *SyntaxError
	if _, err := ParseValue("subject ="); !errors.As(err, &syntax) {
		t.Errorf("no position: %v", err)
	}
}

// FuzzValue: never a panic, and what is parsed takes something out of every event without one.
func FuzzValue(f *testing.F) {
	for _, text := range []string{"subject", "data.a.b", "CONCAT(source,'x')", "level + 1", "data.", "key"} {
		f.Add(text, `{"a":{"b":1}}`)
	}
	f.Fuzz(func(t *testing.T, text, data string) {
		v, err := ParseValue(text)
		if err != nil {
			if v != nil || err.Error() == "" {
				t.Errorf("%q: %v with error %q", text, v, err)
			}
			return
		}
		e := sample()
		e.Data = []byte(data)
		if got, ok := v.Text(e); !ok && got != "" {
			t.Errorf("%q has %q of nothing", text, got)
		}
	})
}
