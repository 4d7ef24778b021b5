package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"
)

// What loading a module has made is kept in files: a head as JSON and a body, each under its checksum, so that the head can be read alone.
//
//	XXH64 of the following up to the body │ XXH64 of the body │ length of the head, 32 bits │ head │ body
//
// Numbers are little-endian. The checksums are for accidents; only we may write to the directory. They are not synced: a file that a crash has torn is the same as none.
const (
	sumSize = 8
	headAt  = 2*sumSize + 4
	maxHead = 16 << 20 // bytes
)

var errDamaged = errors.New("the file is damaged")

// seal makes the content of a file.
func seal(head any, body ...[]byte) []byte {
	text, err := json.Marshal(head)
	if err != nil {
		panic(err) // numbers and strings
	}
	size := headAt + len(text)
	sum := xxhash.New()
	for _, b := range body {
		_, _ = sum.Write(b) // a hash takes everything
		size += len(b)
	}
	out := make([]byte, sumSize, size)
	out = binary.LittleEndian.AppendUint64(out, sum.Sum64())
	out = binary.LittleEndian.AppendUint32(out, uint32(len(text)))
	out = append(out, text...)
	binary.LittleEndian.PutUint64(out, xxhash.Sum64(out[sumSize:]))
	for _, b := range body {
		out = append(out, b...)
	}
	return out
}

// unseal checks a file and reads its head. The body shares memory with content.
func unseal(content []byte, head any) (body []byte, err error) {
	r := bytes.NewReader(content)
	sum, err := unsealHead(r, head)
	if err != nil {
		return nil, err
	}
	body = content[len(content)-r.Len():]
	if xxhash.Sum64(body) != sum {
		return nil, errDamaged
	}
	return body, nil
}

func unsealHead(r io.Reader, head any) (bodySum uint64, err error) {
	var fixed [headAt]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return bodySum, errDamaged
	}
	n := binary.LittleEndian.Uint32(fixed[2*sumSize:])
	if n > maxHead {
		return bodySum, errDamaged
	}
	var text bytes.Buffer // grows with what is there, whatever the length says
	if read, err := io.CopyN(&text, r, int64(n)); err != nil || read != int64(n) {
		return bodySum, errDamaged
	}
	sum := xxhash.New()
	_, _ = sum.Write(fixed[sumSize:])
	_, _ = sum.Write(text.Bytes())
	if sum.Sum64() != binary.LittleEndian.Uint64(fixed[:]) || json.Unmarshal(text.Bytes(), head) != nil {
		return bodySum, errDamaged
	}
	return binary.LittleEndian.Uint64(fixed[sumSize:]), nil
}

// readHead reads the head of a file, and only that.
func readHead(path string, head any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	_, err = unsealHead(f, head)
	return err
}

func readSealed(path string, head any) (body []byte, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return unseal(content, head)
}

// writeWhole leaves the whole file or none.
func writeWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), temporary+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// temporary begins the names of files that are being written.
const temporary = "new-"

// isFile says whether there is a file of that name.
func isFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

func digestOf(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }
