package rewrite

// graph is who calls whom: a node for every function, then one for every type, which stands for all functions of that type whose reference is taken.
type graph struct {
	m     *module
	calls [][]uint32
	frame []int
	found []uint32 // Tarjan: order of discovery, 0 for not yet
	low   []uint32
	stack []uint32
	on    []bool
	turn  uint32

	deep  []bool // by function: keeps account of its frame
	reach []int  // bytes of frames without account on the way down from a node
}

// freeDepth is how many bytes of frames without account may lie on top of each other. Functions above pay for theirs, recursive or not.
const freeDepth = 16 << 10

// deepFunctions finds the functions that keep account of their frames: all that can lie twice on one stack, and as many more as keep the rest of any
// stack below freeDepth.
func (m *module) deepFunctions(facts *facts) []bool {
	n := len(m.funcs) + len(facts.taken)
	g := &graph{m: m, calls: facts.calls, frame: facts.frame, found: make([]uint32, n), low: make([]uint32, n), on: make([]bool, n),
		deep: make([]bool, n), reach: make([]int, n)}
	g.calls = append(g.calls, facts.taken...)
	for v := range n {
		if g.found[v] == 0 {
			g.visit(uint32(v))
		}
	}
	return g.deep[:len(m.funcs)]
}

// visit is Tarjan's algorithm with a stack of its own: call chains are as long as a guest likes.
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
			g.settle(v)
		}
	}
}

func (g *graph) discover(v uint32) {
	g.turn++
	g.found[v], g.low[v], g.on[v] = g.turn, g.turn, true
	g.stack = append(g.stack, v)
}

// settle takes a component off the stack; the components it calls are settled already.
func (g *graph) settle(root uint32) {
	at := len(g.stack) - 1
	for g.stack[at] != root {
		at--
	}
	members := g.stack[at:]
	g.stack = g.stack[:at]
	cycle := len(members) > 1
	below := 0
	for _, v := range members {
		for _, w := range g.calls[v] {
			cycle = cycle || v == w
			below = max(below, g.reach[w])
		}
	}
	for _, v := range members {
		g.on[v] = false
		g.deep[v] = cycle
		if !cycle && int(v) < len(g.frame) && below+g.frame[v] > freeDepth {
			g.deep[v] = true
		} else if !cycle && int(v) < len(g.frame) {
			below += g.frame[v]
		}
		g.reach[v] = below
	}
}
