package partition

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestMergeSortsByTimeThenPartitionThenOffset(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, partitions := range []int{1, 2, 3, 16} {
		lists := make([][]entry, partitions)
		var want []entry
		for i := range lists {
			now := int64(0)
			for offset := range uint64(random.IntN(50)) {
				now += random.Int64N(3)
				lists[i] = append(lists[i], entry{partition: i, offset: offset + 1, time: now})
			}
			want = append(want, lists[i]...)
		}
		slices.SortFunc(want, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
		})
		if got := merge(lists); !slices.Equal(got, want) {
			t.Errorf("%d partitions:\n got %v\nwant %v", partitions, got, want)
		}
	}
}
