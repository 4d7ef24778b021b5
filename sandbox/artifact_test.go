package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
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
		m, err := r.Load(t.Context(), wasm, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		got := r.savedArtifact(m.key)
		if got == nil || !bytes.Equal(got.wasm, want.Wasm) || !reflect.DeepEqual(got.head, newArtifact(want, "").head) {
			t.Fatalf("got %+v", got)
		}
		if data, err := r.savedData(m.key); err != nil || !reflect.DeepEqual(data, want.Data) {
			t.Errorf("got %+v, %v", data, err)
		}
		if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "AAAABBBB" {
			t.Errorf("%+v", res)
		}
	}
	start()
	files := matches(dir, "module-*")
	if len(files) != 1 {
		t.Fatal(files)
	}
	start()
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	flipped, head := bytes.Clone(good), bytes.Clone(good)
	flipped[len(flipped)-20] ^= 1
	head[headAt+5] ^= 1
	for name, content := range map[string][]byte{"empty": {}, "cut": good[:len(good)-1], "flipped": flipped, "head": head} {
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		start()
		if again, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(again, good) {
			t.Errorf("%s: not made again, %v", name, err)
		}
	}
	if err := os.Remove(matches(dir, "data-*")[0]); err != nil {
		t.Fatal(err)
	}
	start()
}

// Damaged data is found out when it is needed, and the next try makes it anew.
func TestDamagedData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "images")
	r, err := New(t.Context(), Options{ImageDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context())
	if _, err := r.Load(t.Context(), logsInit(), Settings{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(matches(dir, "data-*")[0], []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Load(t.Context(), logsInit(), Settings{Revision: 2}); err == nil || !strings.HasPrefix(err.Error(), "read the data of a module: the file is damaged; try again") {
		t.Error(err)
	}
	m, err := r.Load(t.Context(), logsInit(), Settings{Revision: 2})
	if err != nil {
		t.Fatal(err)
	}
	if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "AAAABBBB" {
		t.Errorf("%+v", res)
	}
}

func FuzzData(f *testing.F) {
	r, err := rewriteModule(logsInit())
	if err != nil {
		f.Fatal(err)
	}
	var head segmentsHead
	body, err := unseal(sealData(r.Data), &head)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(head.Count, body)
	f.Fuzz(func(t *testing.T, count int, body []byte) {
		data, err := segmentsHead{count}.split(body)
		if err != nil {
			return
		}
		var head segmentsHead
		again, err := unseal(sealData(data), &head)
		if err != nil || head.Count != count {
			t.Fatal(head, err)
		}
		if same, err := head.split(again); err != nil || !reflect.DeepEqual(same, data) {
			t.Errorf("%+v became %+v, %v", data, same, err)
		}
	})
}

func FuzzUnseal(f *testing.F) {
	f.Add(seal(segmentsHead{3}, []byte("ab"), []byte("c")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		var head segmentsHead
		body, err := unseal(content, &head)
		if err == nil && len(body) > len(content)-headAt || err != nil && err != errDamaged {
			t.Errorf("%d bytes of %d, %v", len(body), len(content), err)
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
