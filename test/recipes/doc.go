// Package recipes runs what can be run of the recipes in config/samples: the program itself with
// the very configuration that the recipe ships, on packets that the test makes, so that what its
// page says of counters is what the program counts.
//
// It is for tests only. It may import nothing of ours.
package recipes
