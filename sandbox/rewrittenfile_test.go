package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// A restart takes the rewritten module from its file, and a damaged file is the same as none.
func TestSavedRewrittenModules(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "images")
	wasm := logsInit()
	start := func() {
		t.Helper()
		r, err := New(t.Context(), Options{ImageDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close(t.Context())
		want, err := rewriteModule(wasm)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.rewritten(wasm); err != nil || !bytes.Equal(got.Wasm, want.Wasm) || !reflect.DeepEqual(got.Data, want.Data) || !reflect.DeepEqual(got.Globals, want.Globals) {
			t.Errorf("got %+v, %v", got, err)
		}
		m, err := r.Load(t.Context(), wasm, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "AAAABBBB" {
			t.Errorf("%+v", res)
		}
	}
	start()
	files, err := filepath.Glob(filepath.Join(dir, "module-*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	start()
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{"empty": {}, "cut": good[:len(good)-1], "flipped": flipped} {
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		start()
		if again, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(again, good) {
			t.Errorf("%s: not made again, %v", name, err)
		}
	}
}

func FuzzDecodeModule(f *testing.F) {
	r, err := rewriteModule(w.Echo())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeModule(r))
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := decodeModule(content)
		if err != nil {
			return
		}
		if again, err := decodeModule(encodeModule(r)); err != nil || !bytes.Equal(again.Wasm, r.Wasm) || len(again.Data) != len(r.Data) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}

// The rewriter takes the declared maximum out of a module; the memory keeps to it.
func TestDeclaredMaximumOfMemoryIsKept(t *testing.T) {
	t.Parallel()
	r, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context())
	m, i := w.NewGuest()
	m.Memory(1, 3)
	m.Handle(
		w.I32Const(0), w.I32Const(2), w.MemoryGrow(), w.Store(),
		w.I32Const(4), w.I32Const(1), w.MemoryGrow(), w.Store(),
		w.Call(i.Reply, abi.ReplyData, 0, 8), w.Drop(), w.I32Const(0),
	)
	module, err := r.Load(t.Context(), m.Bytes(), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if res := module.Invoke(t.Context(), testEvent(), &fakeHost{}); !bytes.Equal(res.Data, []byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}) {
			t.Errorf("two pages more, then one more beyond the maximum: %v, %s", res.Data, res.Reason)
		}
	}
}
