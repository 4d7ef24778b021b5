//go:build !race

package sandbox

const raceDetector = false

const slowdown = 1
