package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
)

// ErrNotEmpty is returned by Import for a registry that holds something.
var ErrNotEmpty = errors.New("not empty")

// Entry is one key of the registry, below its prefix, with its value.
type Entry struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// Export is everything in the registry at one etcd revision, and the digests of the modules that it names, sorted: required are those that functions in force run, old
// those of earlier revisions only.
type Export struct {
	Entries       []Entry
	Required, Old []string
}

// page is how many keys one request of Export and Import has.
const page = 100

// Export reads everything but who leads, which a restored registry decides anew.
func (r *Registry) Export(ctx context.Context) (Export, error) {
	var out Export
	required, old := map[string]bool{}, map[string]bool{}
	end := clientv3.GetPrefixRangeEnd(r.keys.prefix)
	from, revision := r.keys.prefix, int64(0)
	for more := true; more; {
		resp, err := r.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(revision))
		if err != nil {
			return Export{}, fmt.Errorf("read registry: %w", err)
		}
		revision, more = cmp.Or(revision, resp.Header.Revision), resp.More
		for _, kv := range resp.Kvs {
			key := strings.TrimPrefix(string(kv.Key), r.keys.prefix)
			from = string(kv.Key) + "\x00"
			if strings.HasPrefix(key, "leaders/") || key == baseKey {
				continue
			}
			out.Entries = append(out.Entries, Entry{key, kv.Value})
			if err := digestIn(key, kv.Value, required, old); err != nil {
				return Export{}, fmt.Errorf("read registry key %s: %w", kv.Key, err)
			}
		}
	}
	maps.DeleteFunc(old, func(d string, _ bool) bool { return required[d] })
	out.Required, out.Old = slices.Sorted(maps.Keys(required)), slices.Sorted(maps.Keys(old))
	return out, nil
}

// digestIn notes the module that a function or revision names.
func digestIn(key string, value []byte, required, old map[string]bool) error {
	into := old
	switch {
	case strings.HasPrefix(key, "functions/"):
		into = required
	case !strings.HasPrefix(key, "revisions/"):
		return nil
	}
	var has struct{ Spec api.FunctionSpec } // of api.Function and revision alike
	if err := json.Unmarshal(value, &has); err != nil {
		return err
	}
	into[has.Spec.Module] = true
	return nil
}

// Import fills an empty registry. base is the number that epochs and generations of what is restored with it must be above; etcd revisions, which both are made
// from, may begin anew. ErrNotEmpty.
func (r *Registry) Import(ctx context.Context, entries []Entry, base uint64) error {
	there, err := r.client.Get(ctx, r.keys.prefix, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
	if err != nil {
		return fmt.Errorf("read registry: %w", err)
	}
	if len(there.Kvs) > 0 {
		return fmt.Errorf("import registry: %w: etcd has the key %s", ErrNotEmpty, there.Kvs[0].Key)
	}
	entries = append(slices.Clone(entries), Entry{baseKey, strconv.AppendUint(nil, base, 10)})
	for part := range slices.Chunk(entries, page) {
		var puts []clientv3.Op
		for _, e := range part {
			puts = append(puts, clientv3.OpPut(r.keys.prefix+e.Key, string(e.Value)))
		}
		if _, err := r.client.Txn(ctx).Then(puts...).Commit(); err != nil {
			return fmt.Errorf("import registry: %w", err)
		}
	}
	return nil
}

// baseKey holds what epochs and generations count from, decimal. Only a restored registry has it.
const baseKey = "base"

func (k keys) base() string { return k.prefix + baseKey }

// readBase reads the value of base; an absent one is 0.
func readBase(resp *clientv3.GetResponse) (uint64, error) {
	if len(resp.Kvs) == 0 {
		return 0, nil
	}
	base, err := strconv.ParseUint(string(resp.Kvs[0].Value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read registry key %s: %w", resp.Kvs[0].Key, err)
	}
	return base, nil
}
