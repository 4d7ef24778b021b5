package server

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestHeadsOfTheUsualFormAreReadWithoutTheDecoder(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"headers":[]}`, `{"headers":[["content-type","text/plain; charset=utf-8"]]}`, `{"status":201,"headers":[["location","/x"],["x-a",""]]}`,
	} {
		if _, ok := plainHead(text); !ok {
			t.Error(text)
		}
	}
}

func FuzzReadHead(f *testing.F) {
	for _, text := range []string{
		`{"headers":[]}`, `{"headers":[["a","b"],["c","d"]]}`, `{"status":404,"headers":[["a","b"]]}`, `{"status":404}`, `{"status":-1,"headers":[]}`, `{"status":+4,"headers":[]}`,
		`{"status":007,"headers":[]}`, `{"status":null,"headers":[]}`, `{"headers":[["a","b","c"]]}`, `{"headers":[["a"]]}`, `{"headers":[["a\"b","c"]]}`, `{"headers":[["a","b"],]}`,
		`{"headers":[,["a","b"]]}`, `{"headers":[["é","b"]]}`, `{ "headers": [ [ "a" , "b" ] ] }`, `{"headers":[["a","b"]],"status":7}`, `{"headers":null}`, `{}`, `[]`, `{"headers":[]}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want replyHead
		wantErr := json.Unmarshal(text, &want)
		got, err := readHead(append([]byte{}, text...))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, want %v", text, err, wantErr)
		}
		if err == nil && (!reflect.DeepEqual(got.Status, want.Status) || len(got.Headers) != len(want.Headers) || len(want.Headers) > 0 && !reflect.DeepEqual(got.Headers, want.Headers)) {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
	})
}
