package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// confine keeps a process from outliving us and from hearing the signals of our terminal.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// runWatched runs a process to its end and returns the most memory it was seen to have, in bytes. Beyond the limit it is killed. The rlimit that the
// process sets itself is hard and exact, but does not work under the race detector, whose own memory counts.
func runWatched(cmd *exec.Cmd, limit int64) (peak int64, err error) {
	// The signal of the parent's death is that of the thread which started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended, watched := make(chan struct{}), make(chan int64)
	go func() { watched <- watchMemory(cmd.Process, limit, ended) }()
	err = cmd.Wait()
	close(ended)
	return <-watched, err // not what the system says was its most: that begins with our own memory, which it shares until it is another program
}

func watchMemory(p *os.Process, limit int64, ended <-chan struct{}) (peak int64) {
	const often = 20 * time.Millisecond
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return peak
		case <-ticker.C:
			if peak = max(peak, residentMemory(p.Pid)); peak > limit {
				_ = p.Kill() // it may have ended
				<-ended
				return peak
			}
		}
	}
}

// residentMemory is 0 when the process has ended.
func residentMemory(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// limitSelf bounds this process: memory and processor time hard, files far above what code takes. It also yields to everybody else, and is the first to go
// when the machine is out of memory.
func limitSelf(memory int64, seconds int) error {
	const maxFile = 1 << 30
	limits := map[int]uint64{unix.RLIMIT_CPU: uint64(seconds), unix.RLIMIT_FSIZE: maxFile, unix.RLIMIT_CORE: 0}
	if !raceDetector {
		limits[unix.RLIMIT_DATA] = uint64(memory)
	}
	for which, n := range limits {
		if err := unix.Setrlimit(which, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o600); err != nil && !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return lowerPriority()
}

// lowerPriority works on each thread; new ones are as the one that makes them.
func lowerPriority() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	const nice = 10
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, nice); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}
