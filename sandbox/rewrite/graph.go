package rewrite

import "slices"

// accounts is which functions keep account of the stack, and of how many bytes each time they are called.
type accounts struct {
	deep  []bool
	bytes []int
}

func (m *module) accounts(f *facts) accounts {
	if f.engine {
		return m.fewAccounts(f)
	}
	return accounts{m.deepFunctions(f), f.frame}
}

// graph is who calls whom: a node for every function, then one for every type, which stands for all functions of that type whose reference is taken.
type graph struct {
	calls  [][]uint32
	settle func(members []uint32, cycle bool) // a component: nodes that all call each other, or one; the components it calls have been settled
	found  []uint32                           // Tarjan: order of discovery, 0 for not yet
	low    []uint32
	stack  []uint32
	on     []bool
	turn   uint32
}

func (f *facts) graph() *graph {
	return &graph{calls: append(slices.Clone(f.calls), f.taken...)}
}

// freeDepth is how many bytes of frames without account may lie on top of each other. Functions above pay for theirs, recursive or not.
const freeDepth = 16 << 10

// deepFunctions finds the functions that keep account of their frames: all that can lie twice on one stack, and as many more as keep the rest of any
// stack below freeDepth.
func (m *module) deepFunctions(facts *facts) []bool {
	g := facts.graph()
	deep, reach := make([]bool, len(m.funcs)), make([]int, len(g.calls)) // reach: bytes of frames without account on the way down from a node
	g.components(func(members []uint32, cycle bool) {
		below := 0
		for _, v := range members {
			for _, w := range g.calls[v] {
				below = max(below, reach[w])
			}
		}
		for _, v := range members {
			if int(v) < len(deep) {
				if deep[v] = cycle || below+facts.frame[v] > freeDepth; !deep[v] {
					below += facts.frame[v]
				}
			}
			reach[v] = below
		}
	})
	return deep
}

// fewAccounts is deepFunctions for who calls the rest of the module now and then only: as few functions as are needed that every recursion comes by one. Each
// keeps account of its frame and of all that may lie below it until the next.
func (m *module) fewAccounts(facts *facts) accounts {
	g, n := facts.graph(), len(m.funcs)
	calls := slices.Clone(g.calls)
	a := accounts{make([]bool, n), make([]int, n)}
	for again := true; again; { // takes functions out of the graph until it has no cycles
		again = false
		g.components(func(members []uint32, cycle bool) {
			if cycle {
				v := g.busiest(members, n)
				a.deep[v], g.calls[v], again = true, nil, true
			}
		})
	}
	reach := make([]int, len(calls))
	below := func(v uint32) (bytes int) {
		for _, w := range calls[v] {
			if int(w) >= n {
				bytes = max(bytes, reach[w])
			} else if !a.deep[w] {
				bytes = max(bytes, facts.frame[w]+reach[w])
			}
		}
		return bytes
	}
	g.components(func(members []uint32, _ bool) {
		v := members[0]
		if int(v) < n && a.deep[v] {
			return
		}
		reach[v] = below(v)
		if int(v) < n {
			a.deep[v] = facts.frame[v]+reach[v] > freeDepth
		}
	})
	for v := range a.deep {
		if a.deep[v] {
			a.bytes[v] = facts.frame[v] + below(uint32(v))
		}
	}
	return a
}

// busiest is the function of a component by which most ways lead.
func (g *graph) busiest(members []uint32, functions int) uint32 {
	in, out := map[uint32]int{}, map[uint32]int{}
	for _, v := range members {
		in[v] = 0
	}
	for _, v := range members {
		for _, w := range g.calls[v] {
			if _, ok := in[w]; ok {
				in[w]++
				out[v]++
			}
		}
	}
	best, most := members[0], -1
	for _, v := range members {
		if ways := in[v] * out[v]; int(v) < functions && ways > most {
			best, most = v, ways
		}
	}
	return best
}

// components is Tarjan's algorithm with a stack of its own: call chains are as long as a guest likes.
func (g *graph) components(settle func(members []uint32, cycle bool)) {
	n := len(g.calls)
	g.settle, g.turn = settle, 0
	g.found, g.low, g.on = make([]uint32, n), make([]uint32, n), make([]bool, n)
	for v := range n {
		if g.found[v] == 0 {
			g.visit(uint32(v))
		}
	}
}

func (g *graph) visit(root uint32) {
	type step struct {
		node uint32
		next int
	}
	path := []step{{node: root}}
	g.discover(root)
	for len(path) > 0 {
		top := &path[len(path)-1]
		v := top.node
		if top.next < len(g.calls[v]) {
			w := g.calls[v][top.next]
			top.next++
			if g.found[w] == 0 {
				g.discover(w)
				path = append(path, step{node: w})
			} else if g.on[w] {
				g.low[v] = min(g.low[v], g.found[w])
			}
			continue
		}
		path = path[:len(path)-1]
		if len(path) > 0 {
			up := path[len(path)-1].node
			g.low[up] = min(g.low[up], g.low[v])
		}
		if g.low[v] == g.found[v] {
			g.pop(v)
		}
	}
}

func (g *graph) discover(v uint32) {
	g.turn++
	g.found[v], g.low[v], g.on[v] = g.turn, g.turn, true
	g.stack = append(g.stack, v)
}

// pop takes a component off the stack.
func (g *graph) pop(root uint32) {
	at := len(g.stack) - 1
	for g.stack[at] != root {
		at--
	}
	members := slices.Clone(g.stack[at:])
	g.stack = g.stack[:at]
	cycle := len(members) > 1 || slices.Contains(g.calls[root], root)
	for _, v := range members {
		g.on[v] = false
	}
	g.settle(members, cycle)
}
