package rewrite

// facts is what the first walk over all code finds out, by function index.
type facts struct {
	calls  [][]uint32 // callees; types are len(funcs)+canonical type
	frame  []int      // bytes
	fold   []bool     // its callers pay for it
	folded []int32    // what they pay, 0 for functions that pay themselves
	quiet  []int32    // most work that is done without a look until it returns, -1 for functions that look then; imported ones do nothing
	types  []uint32   // canonical type by type index
	taken  [][]uint32 // functions whose reference is taken, by canonical type
	why    string
	engine bool // Options.Engine
}

// gather walks all code twice: what a frame takes depends on the charges in it, and those on which functions are paid for by their callers.
func (m *module) gather() (*facts, *Error) {
	n := len(m.funcs)
	f := &facts{calls: make([][]uint32, n), frame: make([]int, n), fold: make([]bool, n), folded: make([]int32, n), quiet: make([]int32, n), engine: m.limits.Engine}
	kinds := f.canonical(m)
	f.taken = make([][]uint32, kinds)
	taken := make([]bool, n)
	mark(taken, m.constantRefs())
	var sum totals
	var b body
	for i := int(m.importFuncs); i < n; i++ {
		if err := m.decode(i, &b); err != nil {
			return nil, err
		}
		if err := sum.add(&b, m.limits); err != nil {
			err.Function, err.Name = i, m.names.of(i)
			return nil, err
		}
		mark(taken, b.refs)
		f.calls[i] = f.edges(&b, n)
		if f.why == "" && b.why != "" {
			f.why = b.why + " in " + describe(i, m.names.of(i))
		}
		f.folded[i], f.fold[i] = b.foldable()
		f.quiet[i] = int32(len(b.points))
		if len(b.calls)+len(b.through) > 0 || len(b.points) > maxQuiet {
			f.quiet[i] = -1
		}
	}
	f.settle(m, taken)
	for i := int(m.importFuncs); i < n; i++ {
		if err := m.decode(i, &b); err != nil {
			return nil, err
		}
		b.bill(f)
		b.frame.spilled += b.pausedOperands()
		b.frame.locals, b.frame.fuel = b.localSlots(), b.fuelSlots()
		f.frame[i] = b.frame.size()
	}
	return f, nil
}

// totals are what the functions of a module have together.
type totals struct{ branches, locals, passed int }

func (s *totals) add(b *body, limits Options) *Error {
	s.locals += b.locals
	s.passed += b.passed
	for _, p := range b.points {
		if p.op == opBrTable {
			s.branches += int(p.imm)
		}
	}
	switch {
	case s.branches > limits.MaxBranches:
		return refused(-1, "split the module", "its br_table instructions have more than %d targets together", limits.MaxBranches)
	case s.locals > limits.MaxModuleLocals:
		return refused(-1, "split the module", "its functions have more than %d locals together", limits.MaxModuleLocals)
	case s.passed > limits.MaxPassedValues:
		return refused(-1, "pass structures in memory", "its calls, blocks and branches of many values pass more than %d together", limits.MaxPassedValues)
	}
	return nil
}

func mark(set []bool, refs []uint32) {
	for _, i := range refs {
		set[i] = true
	}
}

// settle unfolds what can be called by others than callers by name, and files the references by type.
func (f *facts) settle(m *module, taken []bool) {
	fold := f.fold
	for _, e := range m.exports {
		if e.kind == kindFunc {
			fold[e.index] = false
		}
	}
	if m.start >= 0 {
		fold[m.start] = false
	}
	for i := range fold {
		if taken[i] {
			fold[i], f.quiet[i] = false, -1
			kind := f.types[m.funcs[i]]
			f.taken[kind] = append(f.taken[kind], uint32(i))
		}
		if !fold[i] {
			f.folded[i] = 0
		}
	}
}

// edges are the callees of a function, each once or a few times.
func (f *facts) edges(b *body, n int) []uint32 {
	edges := make([]uint32, 0, len(b.calls)+len(b.through))
	edges = append(edges, b.calls...)
	for _, t := range b.through {
		edges = append(edges, uint32(n)+f.types[t])
	}
	return edges
}

// canonical numbers the types so that equal ones have one number.
func (f *facts) canonical(m *module) int {
	seen := map[string]uint32{}
	for _, t := range m.types {
		key := t.key()
		if _, ok := seen[key]; !ok {
			seen[key] = uint32(len(seen))
		}
		f.types = append(f.types, seen[key])
	}
	return len(seen)
}

func (s signature) key() string {
	b := make([]byte, 0, len(s.params)+len(s.results)+1)
	for _, t := range s.params {
		b = append(b, byte(t))
	}
	b = append(b, 0)
	for _, t := range s.results {
		b = append(b, byte(t))
	}
	return string(b)
}
