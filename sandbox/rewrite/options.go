package rewrite

// Options bounds what a module may ask for. A zero field means its default. The defaults are above what compilers emit (measured: Go programs of 6,000
// functions; one of esbuild's nests 3,289 blocks, since Go opens one for each call of a function) and below what makes the compiler take seconds for one
// function.
type Options struct {
	MaxMemoryPages   uint32 // pages of 64 KiB a memory may start with; default 65,536
	MaxStackBytes    uint32 // native stack the guest's calls may use, estimated; default 512 KiB, at most 1 GiB
	MaxNesting       int    // blocks inside each other; default 5,000
	MaxBranchTargets int    // targets of one br_table; default 16,384
	MaxBranches      int    // br_table targets in the module; default 1,048,576
	MaxLocals        int    // locals of one function, parameters included; default 10,000
	MaxModuleLocals  int    // locals of all functions together; default 5,000,000
	MaxPassedValues  int    // values that calls, blocks and branches of more than 16 values pass, in the module; default 500,000
	MaxTypeValues    int    // parameters and results of one function type; default 1,000
	MaxTableElements uint32 // elements a table may have or grow to; default 100,000
	MaxTables        int    // tables, imported ones included; default 16
	MaxFunctions     int    // functions, imported ones included; default 100,000
	MaxGlobals       int    // globals, imported ones included; default 10,000
	MaxTypes         int    // function types; default 100,000
	MaxExports       int    // exports; default 100,000
	MaxSegments      int    // data segments, and as many element segments; default 100,000
	MaxElements      int    // elements of all element segments together; default 1,000,000
	MaxConstants     int    // instructions in constant expressions together; default 1,000,000
	MaxBodyBytes     int    // code of one function; default 1 MiB
	MaxModuleBytes   int    // the whole module; default 64 MiB

	// Engine says that the module is an interpreter of our choosing. It then pays, and looks whether it may go on, before branches back to loops alone: nothing
	// that it runs for others takes long without one, and its own code repeats nothing by calls alone. And only so many functions keep account of the stack that
	// every recursion comes by one, each for what others may use below it. See "Why does the engine of scripts pay in loops alone?" in RATIONALE.md.
	Engine bool
}

const (
	maxPages = 65536
	// maxStack keeps the depth global, an i32, far from wrapping around.
	maxStack = 1 << 30
)

func (o Options) withDefaults() Options {
	number(&o.MaxMemoryPages, maxPages)
	number(&o.MaxStackBytes, 512<<10)
	number(&o.MaxNesting, 5000)
	number(&o.MaxBranchTargets, 16_384)
	number(&o.MaxBranches, 1<<20)
	number(&o.MaxLocals, 10_000)
	number(&o.MaxModuleLocals, 5_000_000)
	number(&o.MaxPassedValues, 500_000)
	number(&o.MaxTypeValues, 1000)
	number(&o.MaxTableElements, 100_000)
	number(&o.MaxTables, 16)
	number(&o.MaxFunctions, 100_000)
	number(&o.MaxGlobals, 10_000)
	number(&o.MaxTypes, 100_000)
	number(&o.MaxExports, 100_000)
	number(&o.MaxSegments, 100_000)
	number(&o.MaxElements, 1_000_000)
	number(&o.MaxConstants, 1_000_000)
	number(&o.MaxBodyBytes, 1<<20)
	number(&o.MaxModuleBytes, 64<<20)
	o.MaxMemoryPages = min(o.MaxMemoryPages, maxPages)
	o.MaxStackBytes = min(o.MaxStackBytes, maxStack)
	return o
}

func number[T int | uint32](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
