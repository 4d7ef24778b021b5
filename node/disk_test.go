package node

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evoke-run/evoke/partition"
)

// fakeDisk says how much of it is free.
type fakeDisk struct {
	*disk
	free, total uint64
	err         error
	log         bytes.Buffer
}

func newFakeDisk(t *testing.T, minFree float64) *fakeDisk {
	t.Helper()
	f := &fakeDisk{total: 100 << 30}
	f.disk = newDisk(t.TempDir(), minFree, slog.New(slog.NewTextHandler(&f.log, nil)))
	f.space = func(string) (uint64, uint64, error) { return f.free, f.total, f.err }
	return f
}

// at looks when so many bytes are free.
func (f *fakeDisk) at(free uint64) error {
	f.free = free
	f.look()
	f.fillReserve()
	return f.admit()
}

func (f *fakeDisk) reserved() bool {
	_, err := os.Stat(f.reserve())
	return err == nil
}

func TestDiskRefusesBelowTheWatermark(t *testing.T) {
	t.Parallel()
	f := newFakeDisk(t, 5)
	err := f.at(4 << 30)
	if !errors.Is(err, partition.ErrDiskLow) || !strings.Contains(err.Error(), "4.0% is free, min-free asks for 5%") {
		t.Errorf("got %v", err)
	}
	if err := f.at(6 << 30); err != nil {
		t.Errorf("with 6%% free: %v", err)
	}
}

// A file system that gives no answer does not change the last one.
func TestDiskKeepsItsLastAnswer(t *testing.T) {
	t.Parallel()
	f := newFakeDisk(t, 5)
	f.err = errors.New("no answer")
	if err := f.at(0); err != nil {
		t.Errorf("no answer ever was taken for no room: %v", err)
	}
	if f.err = nil; f.at(0) == nil {
		t.Fatal("0% is free")
	}
	if f.err = errors.New("no answer"); f.at(50<<30) == nil {
		t.Error("no answer was taken for enough room")
	}
}

// The reserve is there while there is room, goes when the disk is full, and comes back.
func TestReserve(t *testing.T) {
	t.Parallel()
	f := newFakeDisk(t, 5)
	if f.at(4 << 30); f.reserved() {
		t.Error("a reserve was made below the watermark")
	}
	f.at(50 << 30)
	var s unix.Stat_t
	if err := unix.Stat(f.reserve(), &s); err != nil || s.Blocks*512 < reserveSize {
		t.Fatalf("the reserve takes %d bytes of the disk, %v", s.Blocks*512, err)
	}
	if f.at(4 << 30); !f.reserved() {
		t.Error("the reserve went while there was room")
	}
	if f.at(reserveBelow - 1); f.reserved() || !strings.Contains(f.log.String(), "the disk is full: stored events are worked off from the reserve") {
		t.Errorf("reserved: %t, log: %s", f.reserved(), f.log.String())
	}
	if f.at(reserveBelow + reserveSize); f.reserved() {
		t.Error("the reserve came back as soon as it had made room")
	}
	if f.at(50 << 30); !f.reserved() {
		t.Error("the reserve did not come back")
	}
	again := newDisk(f.dir, 5, f.disk.log)
	again.space = f.space
	f.free = 0
	if again.look(); f.reserved() {
		t.Error("a start on a full disk left the reserve")
	}
}

// Where none can be made, nobody tries again every second.
func TestReserveThatCannotBeMade(t *testing.T) {
	t.Parallel()
	f := newFakeDisk(t, 5)
	if err := os.Mkdir(f.reserve(), 0o700); err != nil {
		t.Fatal(err)
	}
	f.kept = false
	f.at(50 << 30)
	f.at(50 << 30)
	if n := strings.Count(f.log.String(), "there is no reserve for a full disk"); n != 1 {
		t.Errorf("said %d times: %s", n, f.log.String())
	}
}
