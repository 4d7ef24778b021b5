package history

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzLinesBackward compares with a split of the whole. The input is repeated until lines cross the blocks that are read at once.
func FuzzLinesBackward(f *testing.F) {
	for _, s := range []string{"", "\n", "a", "a\n", "a\nb", "\n\n", "abc\n\ndef\ng"} {
		f.Add([]byte(s), uint16(1))
		f.Add([]byte(s), uint16(20_000))
	}
	f.Fuzz(func(t *testing.T, part []byte, times uint16) {
		if len(part)*int(times) > 4*block {
			times = uint16(4 * block / len(part))
		}
		all := bytes.Repeat(part, int(times))
		want := bytes.Split(all, []byte("\n"))
		want = want[:len(want)-1] // what stands behind the last end of a line is torn
		slices.Reverse(want)
		var got [][]byte
		if err := linesBackward(bytes.NewReader(all), int64(len(all)), func(line []byte) bool {
			got = append(got, bytes.Clone(line))
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if len(want) > 0 && len(want[len(want)-1]) == 0 && len(got) == len(want)-1 {
			want = want[:len(want)-1] // an empty first line is nothing to decode
		}
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("got %d lines, want %d", len(got), len(want))
		}
	})
}
