package sandbox

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/go-sourcemap/sourcemap"
)

// A bundle's last line may be its source map, as fnctl and bundlers leave it. It is read when something has failed, and is not a part of what the engine sees.

const (
	mapComment = "\n//# sourceMappingURL=data:application/json;base64,"
	maxMap     = 4 << 20  // bytes of it that are read
	maxPaths   = 16 << 20 // bytes of its sources with the root before each
)

var (
	placeInText = regexp.MustCompile(`^(.*?)([^\s():]+):(\d+):(\d+)(\)?)$`)
	frameInText = regexp.MustCompile(`\bat (?:[^\s()]+ )?\(?[^\s():]+:\d+:\d+\)?`)
)

// cutMap takes the source map off a script's text.
func cutMap(text []byte) (rest, encoded []byte) {
	at := bytes.LastIndex(text, []byte(mapComment))
	if at < 0 {
		return text, nil
	}
	encoded = bytes.TrimSpace(text[at+len(mapComment):])
	if bytes.ContainsAny(encoded, " \n") {
		return text, nil
	}
	return text[:at+1], encoded
}

// readMap returns the map, or nil when there is none that can be read. It comes from whoever wrote the function.
func readMap(encoded []byte) (m *sourcemap.Consumer) {
	if len(encoded) == 0 || len(encoded) > maxMap {
		return nil
	}
	defer func() {
		if recover() != nil {
			m = nil
		}
	}()
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Decode(decoded, encoded)
	if err != nil {
		return nil
	}
	if !boundedPaths(decoded[:n]) {
		return nil
	}
	if m, err = sourcemap.Parse("", decoded[:n]); err != nil {
		return nil
	}
	return m
}

// boundedPaths says whether a map has so few sources below so short a root that the paths of all of them can be made, as sourcemap.Parse does.
func boundedPaths(text []byte) bool {
	type paths struct {
		Root    string   `json:"sourceRoot"`
		Sources []string `json:"sources"`
	}
	var m struct {
		paths
		Sections []struct {
			Map *paths `json:"map"`
		} `json:"sections"`
	}
	if json.Unmarshal(text, &m) != nil {
		return false
	}
	size := len(m.Root) * len(m.Sources)
	for _, s := range m.Sections {
		if s.Map != nil {
			size += len(s.Map.Root) * len(s.Map.Sources)
		}
	}
	return size <= maxPaths
}

// firstFrames are as many of the frames as there is room for in what is told of an end. A script may say of an error that it has millions.
func firstFrames(frames []string) []string {
	size := 0
	for n := range frames {
		if size += len(frames[n]); size > maxTrapText {
			frames[n] = cutText(frames[n], max(0, maxTrapText-size+len(frames[n])))
			return frames[:n+1]
		}
	}
	return frames
}

// original says where in its sources frames of the script are. What is not in the map stays as it is.
func (s *script) original(frames []string) []string {
	frames = firstFrames(frames)
	if len(s.encodedMap) == 0 || len(frames) == 0 {
		return frames
	}
	m := s.sources()
	if m == nil {
		return frames
	}
	out := make([]string, len(frames))
	for n, f := range frames {
		out[n] = s.originalFrame(m, f)
	}
	return out
}

// originalText is a text with the frames in it as original has them: what a script writes to its log may be the stack of an error.
func (s *script) originalText(text string) string {
	if len(s.encodedMap) == 0 || !strings.Contains(text, s.name+":") {
		return text
	}
	m := s.sources()
	if m == nil {
		return text
	}
	return frameInText.ReplaceAllStringFunc(text, func(frame string) string { return s.originalFrame(m, frame) })
}

func (s *script) originalFrame(m *sourcemap.Consumer, frame string) (out string) {
	p := placeInText.FindStringSubmatch(frame)
	if p == nil || p[2] != s.name {
		return frame
	}
	line, err := strconv.Atoi(p[3])
	column, err2 := strconv.Atoi(p[4])
	if err != nil || err2 != nil {
		return frame
	}
	defer func() {
		if recover() != nil {
			out = frame
		}
	}()
	source, _, line, column, ok := m.Source(line, column-1)
	if !ok {
		return frame
	}
	return fmt.Sprintf("%s%s:%d:%d%s", p[1], cutText(printable(source), maxFunctionName), line, column+1, p[5])
}

// onceMap reads the map when it is first needed.
func onceMap(encoded []byte) func() *sourcemap.Consumer {
	return sync.OnceValue(func() *sourcemap.Consumer { return readMap(encoded) })
}
