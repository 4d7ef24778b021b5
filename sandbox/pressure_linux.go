package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// scarce is the share of memory below which there is too little left.
const scarce = 0.1

// memoryIsShort looks at the machine and at the control group of this process, whichever has less left.
func memoryIsShort() bool {
	return shortOf(readMeminfo("/proc/meminfo")) || shortOf(readGroup("/proc/self/cgroup", "/sys/fs/cgroup"))
}

// SystemMemory is how many bytes this process may have: what the machine has, or its control group if that is less; 0 = nobody knows.
func SystemMemory() int64 {
	_, total := readMeminfo("/proc/meminfo")
	total *= 1 << 10
	if _, limit := readGroup("/proc/self/cgroup", "/sys/fs/cgroup"); limit > 0 && (total == 0 || limit < total) {
		total = limit
	}
	return total
}

func shortOf(free, total int64) bool { return total > 0 && float64(free) < scarce*float64(total) }

// readMeminfo returns what is available and what there is in all, in KiB; zeros when the file says nothing of it.
func readMeminfo(path string) (free, total int64) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0
	}
	found := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if fields := strings.Fields(rest); len(fields) > 0 {
			found[name], _ = strconv.ParseInt(fields[0], 10, 64) // what is no number is not one of ours
		}
	}
	if _, ok := found["MemAvailable"]; !ok {
		return 0, 0
	}
	return found["MemAvailable"], found["MemTotal"]
}

// readGroup returns what is left and what is allowed in the control group (version 2) that a file names, in bytes; zeros when there is no limit. What the
// kernel can take back at once, files that were read, counts as left.
func readGroup(self, root string) (free, limit int64) {
	text, err := os.ReadFile(self)
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		dir := filepath.Join(root, group)
		limit = readNumber(filepath.Join(dir, "memory.max"))
		if limit == 0 { // in a container the root shows the group itself
			dir = root
			limit = readNumber(filepath.Join(dir, "memory.max"))
		}
		if limit == 0 {
			return 0, 0
		}
		return limit - readNumber(filepath.Join(dir, "memory.current")) + inactiveFile(filepath.Join(dir, "memory.stat")), limit
	}
	return 0, 0
}

// readNumber is 0 for "max" and for no file.
func readNumber(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func inactiveFile(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "inactive_file "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64) // 0 is careful
			return n
		}
	}
	return 0
}
