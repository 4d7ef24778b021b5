package fetch

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// BenchmarkDo is a request over a connection that is kept, beside one of net/http without any check.
func BenchmarkDo(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer s.Close()
	b.Run("fetch", func(b *testing.B) {
		c := New(Options{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
		defer c.Close()
		f, err := c.Function([]string{"http://127.0.0.1:*"}, nil)
		if err != nil {
			b.Fatal(err)
		}
		raw := encode(`{"url":"`+s.URL+`"}`, "")
		b.ReportAllocs()
		for b.Loop() {
			r, err := Parse(raw)
			if err != nil {
				b.Fatal(err)
			}
			if a := f.Do(b.Context(), r, unbounded); a.HTTP != 200 {
				b.Fatal(string(a.Body))
			}
		}
	})
	b.Run("net/http", func(b *testing.B) {
		client := http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		b.ReportAllocs()
		for b.Loop() {
			res, err := client.Get(s.URL)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadAll(res.Body); err != nil {
				b.Fatal(err)
			}
			res.Body.Close() //nolint:errcheck // it is read
		}
	})
}
