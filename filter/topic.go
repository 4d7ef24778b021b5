package filter

import (
	"fmt"
	"strings"
)

// maxTopic is the longest topic name and pattern, in bytes.
const maxTopic = 255

// ValidTopic says what is wrong with the name of a topic: dot-separated tokens of letters, digits, "_" and "-", 255 bytes in all. Tokens that
// begin with "_" belong to the runtime.
func ValidTopic(name string) error {
	if err := checkTopic(name, false); err != nil {
		return err
	}
	if Internal(name) {
		return fmt.Errorf("topic %q has a part that begins with \"_\"; such topics belong to the runtime", name)
	}
	return nil
}

// Internal says whether a topic or pattern is one of the runtime's own: a token of it begins with "_".
func Internal(topic string) bool {
	return strings.HasPrefix(topic, "_") || strings.Contains(topic, "._")
}

// Pattern matches topics: a topic name in which "*" stands for exactly one token and a last ">" for one or more.
type Pattern struct{ text string }

// ParsePattern reads a pattern. It takes the names of internal topics, too; whoever reads patterns of users refuses those by Internal.
func ParsePattern(p string) (Pattern, error) {
	if err := checkTopic(p, true); err != nil {
		return Pattern{}, err
	}
	return Pattern{text: p}, nil
}

// String returns the text the pattern was parsed from.
func (p Pattern) String() string { return p.text }

// Wildcard says whether the pattern can match more than one topic.
func (p Pattern) Wildcard() bool { return strings.ContainsAny(p.text, "*>") }

// Match says whether the pattern matches a topic that ValidTopic accepts or that is internal. Wildcards match no token that begins with "_": a
// trigger on everything is not meant to get the runtime's own events. The zero Pattern matches nothing.
func (p Pattern) Match(topic string) bool {
	pattern := p.text
	for {
		want, patternRest, morePattern := strings.Cut(pattern, ".")
		have, topicRest, moreTopic := strings.Cut(topic, ".")
		switch {
		case have == "":
			return false
		case want == ">":
			return !Internal(topic)
		case want == "*":
			if have[0] == '_' {
				return false
			}
		case want != have:
			return false
		}
		if !morePattern || !moreTopic {
			return morePattern == moreTopic
		}
		pattern, topic = patternRest, topicRest
	}
}

func checkTopic(name string, wildcards bool) error {
	what := "topic"
	if wildcards {
		what = "topic pattern"
	}
	if name == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if len(name) > maxTopic {
		return fmt.Errorf("%s has %d bytes, the limit is %d", what, len(name), maxTopic)
	}
	tokens := strings.Split(name, ".")
	for i, token := range tokens {
		if wildcards && (token == "*" || token == ">") {
			if token == ">" && i != len(tokens)-1 {
				return fmt.Errorf("%s %q has \">\" before its end; \">\" stands for the rest, use \"*\" for one part", what, name)
			}
			continue
		}
		if token == "" {
			return fmt.Errorf("%s %q has an empty part; write parts separated by single dots, as in orders.created", what, name)
		}
		if at := strings.IndexFunc(token, notTopicRune); at >= 0 {
			return fmt.Errorf("%s %q has %s in part %d; %s", what, name, clip(firstRune(token[at:])), i+1, allowed(wildcards))
		}
	}
	return nil
}

func allowed(wildcards bool) string {
	if wildcards {
		return `parts are letters, digits, "_" and "-", or a whole "*" or ">"`
	}
	return `parts are letters, digits, "_" and "-"`
}

func notTopicRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}
