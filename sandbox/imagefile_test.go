package sandbox

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// logsInit says so when it initialises itself, which sets memory and a global, and replies with both.
func logsInit() []byte {
	m, i := w.NewGuest()
	m.Memory(3)
	m.Data(64, []byte("init"))
	global := m.Global(w.I32, w.I32Const(0))
	m.Func(abi.ExportInitialize, nil, nil, 0,
		w.Call(i.Log, 0, 64, 4), w.I32Const(2*pageSize), w.I32Const(0x41414141), w.Store(), w.I32Const(0x42424242), w.GlobalSet(global), w.I32Const(1), w.MemoryGrow(), w.Drop())
	return m.Handle(
		w.I32Const(2*pageSize+4), w.GlobalGet(global), w.Store(), w.Call(i.Reply, abi.ReplyData, 2*pageSize, 8), w.Drop(), w.I32Const(0),
	).Bytes()
}

// A restart takes the snapshot from its file, unless the file is damaged or anything that the snapshot follows from has changed.
func TestSavedSnapshots(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "images")
	start := func(s Settings) (initialised bool) {
		t.Helper()
		r, err := New(t.Context(), Options{ImageDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close(t.Context())
		m, err := r.Load(t.Context(), logsInit(), s)
		if err != nil {
			t.Fatal(err)
		}
		h := &fakeHost{}
		for range 2 {
			if res := m.Invoke(t.Context(), testEvent(), h); string(res.Data) != "AAAABBBB" || res.Bill.PeakMemory != 4*pageSize {
				t.Errorf("%+v", res)
			}
		}
		return slices.Equal(h.lines, []string{"INFO init"})
	}
	if !start(Settings{}) || start(Settings{}) {
		t.Error("the second start initialised again, or the first did not")
	}
	files, err := filepath.Glob(filepath.Join(dir, "image-*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(good) > 3*4096 {
		t.Errorf("zeros were saved: %d bytes", len(good))
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{"empty": {}, "cut": good[:len(good)-1], "flipped": flipped, "foreign": []byte("#!/bin/sh\n")} {
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		if !start(Settings{}) || start(Settings{}) {
			t.Errorf("%s: not made again", name)
		}
	}
	for name, s := range map[string]Settings{
		"env": {Env: map[string]string{"A": "b"}}, "function": {Function: "f"}, "revision": {Revision: 2}, "seed": {Seed: []byte("s")}, "memory": {Memory: 1 << 20},
	} {
		if !start(s) || start(s) {
			t.Errorf("%s: took the wrong file", name)
		}
	}
}

func TestSnapshotsCannotBeSaved(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Options{ImageDir: file}); err == nil {
		t.Error("a file passes for a directory")
	}
	dir := filepath.Join(t.TempDir(), "images")
	r, err := New(t.Context(), Options{ImageDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context())
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	m, err := r.Load(t.Context(), w.Echo(), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "hello" {
		t.Errorf("%+v", res)
	}
}

func FuzzDecodeImage(f *testing.F) {
	m := load(f, logsInit(), Settings{})
	f.Add("{}", encodeImage(m.current().snapshot.Load()))
	f.Add(`{"size":65536,"runs":[[65535,2]],"generators":[65535]}`, []byte("xx"))
	f.Add(`{"size":65536,"script":{"context":1,"slots":65504,"random":65528}}`, []byte{})
	f.Fuzz(func(t *testing.T, head string, body []byte) {
		if !json.Valid([]byte(head)) {
			return
		}
		saved, parts, err := decodeImage(seal(json.RawMessage(head), body), 1<<20)
		if err == nil && (saved.Size < 0 || saved.Size > 1<<20) {
			t.Errorf("%d bytes", saved.Size)
		}
		for _, p := range parts {
			if err == nil && (p.At < 0 || p.At+len(p.Bytes) > saved.Size) {
				t.Errorf("%d bytes from %d on in %d", len(p.Bytes), p.At, saved.Size)
			}
		}
		if s := saved.Script; err == nil && s != nil && max(int(s.Slots)+slotsSize, int(s.Random)+8) > saved.Size {
			t.Errorf("%+v in %d bytes", s, saved.Size)
		}
		if err != nil && err != errDamaged {
			t.Error(err)
		}
	})
}
