package local

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/eventlog"
)

// damaged is a directory of a log with tables, a WAL that was not flushed, and records of which all came back.
type damaged struct {
	files *vfs.MemFS
	count int
}

// worn fills a log so that it has several tables and a WAL, and ends without closing, as after kill -9.
func worn(t *testing.T) damaged {
	t.Helper()
	files := vfs.NewCrashableMem()
	l := mustOpen(t, Options{Dir: "log", Partitions: 1, FS: files})
	stored := make(chan struct{}, 100)
	if _, err := l.Follow(0, 1, func(list []eventlog.Record) {
		for range list {
			stored <- struct{}{}
		}
	}); err != nil {
		t.Fatal(err)
	}
	const count = 60
	for i := range count {
		if i == count/2 { // the first half is in tables, the second in the WAL
			if err := l.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		l.Append(0, 1, fmt.Appendf(nil, "record %03d %s", i, strings.Repeat("x", 4000)))
		<-stored
	}
	after := files.CrashClone(vfs.CrashCloneCfg{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return damaged{after, count}
}

// list gives the files whose names end so, sorted, empty ones left out.
func (d damaged) list(t *testing.T, suffix string) (names []string) {
	t.Helper()
	all, err := d.files.List("log")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if strings.HasSuffix(name, suffix) && len(d.read(t, name)) > 0 {
			names = append(names, name)
		}
	}
	return names
}

func (d damaged) read(t *testing.T, name string) []byte {
	t.Helper()
	f, err := d.files.Open("log/" + name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (d damaged) write(t *testing.T, name string, b []byte) {
	t.Helper()
	f, err := d.files.Create("log/"+name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// opens reads all there is. It fails when a record is not what was written, or stands elsewhere.
func (d damaged) opens(t *testing.T) (count int, err error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil { // Fatal panics by default, which is as loud
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	var told error
	l, err := Open(Options{Dir: "log", Partitions: 1, FS: d.files, Fatal: func(err error) { told = errors.Join(told, err) }})
	if err != nil {
		return 0, err
	}
	err = l.Read(0, 1, func(r eventlog.Record) bool {
		if want := fmt.Sprintf("record %03d ", count); r.Offset != uint64(count+1) || !strings.HasPrefix(string(r.Data), want) {
			t.Errorf("offset %d has %.12q, want %q at %d", r.Offset, r.Data, want, count+1)
		}
		count++
		return true
	})
	return count, errors.Join(err, told, l.Close())
}

// walBlock is the unit in which pebble looks behind damage for proof that it is none of a torn tail.
const walBlock = 32 << 10

// Whatever is done to the files of a log: it says so, or everything that was acknowledged is there. Only the last block of the newest WAL cannot be told from a tail
// that was torn; what it lost is missed by whoever has applied it (partition: TestStateAheadOfItsLogIsRefused), and what is left is right.
func TestDamageIsNeverSilent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		suffix string
		damage func(*testing.T, damaged, string, *rand.Rand)
		runs   int
		tail   bool // may look like a torn tail
	}{
		"flip in the WAL":                       {".log", flip, 30, false},
		"flip in the last block of the WAL":     {".log", flipTail, 10, true},
		"cut WAL":                               {".log", cut, 10, true},
		"missing WAL":                           {".log", remove, 1, true},
		"zeros in the WAL":                      {".log", zeros, 10, false},
		"flip in a table":                       {".sst", flip, 30, false},
		"cut table":                             {".sst", cut, 10, false},
		"missing table":                         {".sst", remove, 1, false},
		"zeros in a table":                      {".sst", zeros, 10, false},
		"a table with the content of the WAL":   {".sst", swapped(".log"), 1, false},
		"the WAL with the content of a table":   {".log", swapped(".sst"), 1, true},
		"the manifest with that of the options": {"MANIFEST-000001", swapped("OPTIONS-000003"), 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for run := range test.runs {
				d, rnd := worn(t), rand.New(rand.NewPCG(uint64(run), 1))
				names := d.list(t, test.suffix)
				if len(names) == 0 {
					t.Fatalf("no %s files", test.suffix)
				}
				victim := names[rnd.IntN(len(names))]
				test.damage(t, d, victim, rnd)
				count, err := d.opens(t)
				if err == nil && count < d.count && (!test.tail || count < d.count/2) {
					t.Errorf("run %d, %s: %d of %d records are left and nobody was told", run, victim, count, d.count)
				}
				if err != nil && run == 0 {
					t.Logf("%s: %v", victim, err)
				}
			}
		})
	}
}

// Damage in a WAL that is no torn tail is told with the file and the place.
func TestDamageInTheWALNamesThePlace(t *testing.T) {
	t.Parallel()
	for run := range 10 {
		d, rnd := worn(t), rand.New(rand.NewPCG(uint64(run), 2))
		victim := slices.Max(d.list(t, ".log")) // older ones are not read any more
		b := d.read(t, victim)
		at := within(victim, b, rnd)
		b[at] ^= 1 << rnd.IntN(8)
		d.write(t, victim, b)
		_, err := d.opens(t)
		wantError(t, err, "open event log log", "WAL file "+victim+" is damaged behind offset ", "restore the directory from a backup")
		var told int
		if _, text, ok := strings.Cut(fmt.Sprint(err), "behind offset "); ok {
			fmt.Sscan(text, &told) //nolint:errcheck // 0 is wrong enough
		}
		if told > at || at-told > 2*walBlock { // an entry of the test has 4 kB
			t.Errorf("damage at %d is told behind %d", at, told)
		}
	}
}

// within is a random place in a file, in a WAL not in its last block.
func within(name string, b []byte, rnd *rand.Rand) int {
	if strings.HasSuffix(name, ".log") {
		return rnd.IntN((len(b) - 1) / walBlock * walBlock)
	}
	return rnd.IntN(len(b))
}

func flip(t *testing.T, d damaged, name string, rnd *rand.Rand) {
	b := d.read(t, name)
	b[within(name, b, rnd)] ^= 1 << rnd.IntN(8)
	d.write(t, name, b)
}

func flipTail(t *testing.T, d damaged, name string, rnd *rand.Rand) {
	b := d.read(t, name)
	last := (len(b) - 1) / walBlock * walBlock
	b[last+rnd.IntN(len(b)-last)] ^= 1 << rnd.IntN(8)
	d.write(t, name, b)
}

func cut(t *testing.T, d damaged, name string, rnd *rand.Rand) {
	b := d.read(t, name)
	d.write(t, name, b[:rnd.IntN(len(b))])
}

func zeros(t *testing.T, d damaged, name string, rnd *rand.Rand) {
	b := d.read(t, name)
	from := within(name, b, rnd)
	clear(b[from:min(len(b), from+1+rnd.IntN(1024))])
	d.write(t, name, b)
}

func remove(t *testing.T, d damaged, name string, _ *rand.Rand) {
	if err := d.files.Remove("log/" + name); err != nil {
		t.Fatal(err)
	}
}

// swapped puts the content of another file in its place.
func swapped(suffix string) func(*testing.T, damaged, string, *rand.Rand) {
	return func(t *testing.T, d damaged, name string, _ *rand.Rand) {
		d.write(t, name, d.read(t, d.list(t, suffix)[0]))
	}
}
