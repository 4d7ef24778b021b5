package rustbuild

import "slices"

// reference is a path in an expression, or what looks like one.
type reference struct {
	path []string
	line int
	in   *scope
}

// scope is a block, a module or a file.
type scope struct {
	outer *scope
	// module: the names of outer are not known in it, unless it takes them all.
	module, takesAll bool
	names            map[string][]string // that use declares, to paths
}

func (s *scope) find(name string) []string {
	for ; s != nil; s = s.outer {
		if path, ok := s.names[name]; ok {
			return path
		}
		if s.module && !s.takesAll {
			return nil
		}
	}
	return nil
}

// resolve is the path with what use declarations say of its first name.
func (r reference) resolve() []string {
	const most = 8 // names of names; some go round
	path := r.path
	for range most {
		is := r.in.find(path[0])
		if is == nil {
			break
		}
		path = slices.Concat(is, path[1:])
	}
	return path
}

// references are the paths of a source that may be calls. What is compiled only sometimes is passed over: nobody here knows when.
func references(src string) []reference {
	r := reader{tokens: tokens(src), scope: &scope{module: true}}
	for r.at < len(r.tokens) {
		r.next()
	}
	return r.found
}

// reader reads a source as far as it takes to know what its paths are.
type reader struct {
	tokens []token
	at     int
	scope  *scope // the innermost
	found  []reference
}

// text is that of the token n behind the next one; "" = the source has ended.
func (r *reader) text(n int) string {
	if r.at+n < 0 || r.at+n >= len(r.tokens) {
		return ""
	}
	return r.tokens[r.at+n].text
}

func (r *reader) isWord(n int) bool { return r.text(n) != "" && r.tokens[r.at+n].word() }

func (r *reader) next() {
	switch text := r.text(0); {
	case text == "{":
		r.open(false)
	case text == "}":
		r.at++
		if r.scope.outer != nil {
			r.scope = r.scope.outer
		}
	case text == "#" && (r.text(1) == "[" || r.text(1) == "!" && r.text(2) == "["):
		r.attribute()
	case text == "mod" && r.text(2) == "{":
		r.at += 2
		r.open(true)
	case text == "use" && r.text(1) != "<":
		r.at++
		r.tree(nil, 0)
	case text == "fn" || text == ".": // what follows is a name of the user's
		if r.at++; r.isWord(0) {
			r.at++
		}
	case text == "::" && r.text(-1) == ">" && r.isWord(1): // of a type, <T as Trait>::name
		r.at++
		r.path()
	case r.isWord(0):
		line := r.tokens[r.at].line
		path := r.path()
		if call := r.text(0) == "("; call || len(path) > 1 && r.text(0) != "!" {
			r.found = append(r.found, reference{path, line, r.scope})
		}
	default:
		r.at++
	}
}

func (r *reader) open(module bool) {
	r.at++
	r.scope = &scope{outer: r.scope, module: module}
}

// path reads names with :: between them.
func (r *reader) path() []string {
	path := []string{r.text(0)}
	for r.at++; r.text(0) == "::" && r.isWord(1); r.at += 2 {
		path = append(path, r.text(1))
	}
	return path
}

// tree reads what follows a use, below a path.
func (r *reader) tree(below []string, depth int) {
	const deepest = 64
	path := slices.Clone(below)
	if r.text(0) == "::" {
		r.at++
	}
	for depth <= deepest {
		switch text := r.text(0); {
		case text == "{":
			for r.at++; r.text(0) != "}" && r.text(0) != ""; {
				if before := r.at; r.text(0) == "," {
					r.at++
				} else if r.tree(path, depth+1); r.at == before {
					return // it is none
				}
			}
			r.at++
			return
		case text == "*":
			r.at++
			if slices.Equal(path, []string{"super"}) {
				r.scope.takesAll = true
			}
			return
		case !r.isWord(0):
			return
		}
		if r.text(0) != "self" || len(path) == 0 {
			path = append(path, r.text(0))
		}
		if r.at++; r.text(0) == "::" {
			r.at++
			continue
		}
		name := path[len(path)-1]
		if r.text(0) == "as" && r.isWord(1) {
			name = r.text(1)
			r.at += 2
		}
		if r.scope.names == nil {
			r.scope.names = map[string][]string{}
		}
		r.scope.names[name] = path
		return
	}
}

// attribute passes over one, and over what it is about when that is compiled only sometimes: for tests, or for something else.
func (r *reader) attribute() {
	inner := r.text(1) == "!"
	r.at++
	if inner {
		r.at++
	}
	sometimes := false
	for depth := 0; r.at < len(r.tokens); r.at++ {
		switch text := r.text(0); text {
		case "[", "(", "{":
			depth++
		case "]", ")", "}":
			depth--
		case "cfg", "test", "bench": // test has a path before it, for some
			sometimes = sometimes || depth == 1 && (text != "cfg" || r.text(-1) == "[")
		}
		if depth == 0 {
			r.at++
			break
		}
	}
	switch {
	case sometimes && inner:
		for r.text(0) != "" && r.text(0) != "}" {
			before := r.at
			if r.item(); r.at == before {
				r.at++ // what no block begins with
			}
		}
	case sometimes:
		r.item()
	}
}

// items are the words that something begins with which no comma ends.
var items = []string{"pub", "fn", "mod", "impl", "struct", "enum", "union", "trait", "use", "const", "static", "type", "unsafe", "async", "extern", "let", "macro_rules"}

// item passes over one, with its attributes: to its block, its semicolon or, in a list, its comma.
func (r *reader) item() {
	for r.text(0) == "#" && r.text(1) == "[" {
		for depth := 0; r.at < len(r.tokens); {
			switch r.text(0) {
			case "[":
				depth++
			case "]":
				depth--
			}
			if r.at++; depth == 0 && r.text(-1) == "]" {
				break
			}
		}
	}
	list := !slices.Contains(items, r.text(0))
	for depth := 0; r.at < len(r.tokens); r.at++ {
		switch text := r.text(0); text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			if depth == 0 {
				return // the end of what it is in
			}
			if depth--; depth == 0 && text == "}" {
				r.at++
				return
			}
		case ";", ",":
			if depth == 0 && (text == ";" || list) {
				r.at++
				return
			}
		}
	}
}
