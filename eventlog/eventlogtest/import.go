package eventlogtest

import (
	"testing"

	"github.com/evoke-run/evoke/eventlog"
)

func testImport(t *testing.T, open Open) {
	log := open(t)
	to, ok := log.(eventlog.Importer)
	if !ok {
		mustClose(t, log)
		t.Skip("this driver takes over no other log")
	}
	records := []eventlog.Record{
		{Offset: 100, Span: 3, Data: []byte("a")}, {Offset: 103, Span: 1, Data: []byte("b")}, // nothing before, then a gap
		{Offset: 200, Span: 1, Data: []byte("c")}, {Offset: 201, Span: 9, Data: []byte("d")},
	}
	if err := to.Import(3, records[:3]); err != nil {
		t.Fatal(err)
	}
	if err := to.Import(3, records[1:2]); err == nil {
		t.Error("a record was imported below those that are there")
	}
	if err := to.Import(3, records[3:]); err != nil {
		t.Fatal(err)
	}
	mustClose(t, log)

	log = open(t)
	defer mustClose(t, log)
	f := follow(t, log, 3, 100, nil)
	expect(t, f.now(), "a", "b", "c", "d")
	for i, r := range f.now() {
		if r.Offset != records[i].Offset || r.Span != records[i].Span {
			t.Errorf("record %d has offset %d and span %d, want %d and %d", i, r.Offset, r.Span, records[i].Offset, records[i].Span)
		}
	}
	expect(t, read(t, log, 3, 150), "c", "d") // in the gap
	appendAll(log, 3, "e")
	if r := f.wait(5)[4]; r.Offset < 210 {
		t.Errorf("the next record has offset %d, want 210 or more", r.Offset)
	}
}
