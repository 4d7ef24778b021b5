//go:build race

package sandbox

const raceDetector = true

// slowdown is how many times longer compiling may take.
const slowdown = 10
