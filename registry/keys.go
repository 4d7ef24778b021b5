package registry

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// keys builds and reads the names of etcd keys. Namespaces, functions, topics and secrets have no "/" in their names.
type keys struct{ prefix string }

func (k keys) functions() string                   { return k.prefix + "functions/" }
func (k keys) functionsOf(namespace string) string { return k.functions() + namespace + "/" }
func (k keys) function(namespace, name string) string {
	return k.functionsOf(namespace) + name
}

func (k keys) topics() string                      { return k.prefix + "topics/" }
func (k keys) topicsOf(namespace string) string    { return k.topics() + namespace + "/" }
func (k keys) topic(namespace, name string) string { return k.topicsOf(namespace) + name }

func (k keys) secrets() string                      { return k.prefix + "secrets/" }
func (k keys) secret(namespace, name string) string { return k.secrets() + namespace + "/" + name }

func (k keys) tokens() string     { return k.prefix + "tokens/" }
func (k keys) accessKeys() string { return k.prefix + "keys/" }

// route has the claims of one shape of routes; at begins with a host or a slash.
func (k keys) route(namespace, at string) string { return k.prefix + "routes/" + namespace + "/" + at }

func (k keys) revisions() string { return k.prefix + "revisions/" }
func (k keys) revisionsOf(namespace, name string) string {
	return k.revisions() + namespace + "/" + name + "/"
}

func (k keys) revision(namespace, name string, n int) string {
	return k.revisionsOf(namespace, name) + fmt.Sprintf("%010d", n)
}

// Those of leaders are not in a backup.
func (k keys) leader() string     { return k.prefix + "leaders/now" }
func (k keys) lastLeader() string { return k.prefix + "leaders/last" }

func (k keys) nextTrigger() string { return k.prefix + "next-trigger-id" }

// id names a function or topic.
type id struct{ namespace, name string }

// compare sorts by namespace first.
func (a id) compare(b id) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// split takes the namespace and name out of a key below dir.
func split(dir, key string) (id, bool) {
	rest, ok := strings.CutPrefix(key, dir)
	if !ok {
		return id{}, false
	}
	namespace, name, ok := strings.Cut(rest, "/")
	return id{namespace, name}, ok
}

// revisionNumber reads the number off the end of a revision's key.
func revisionNumber(key string) (int, error) {
	return strconv.Atoi(key[strings.LastIndexByte(key, '/')+1:])
}
