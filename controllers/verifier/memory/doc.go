// Package memory says whether the process has the memory that it needs, before the kernel ends it
// because it has not: [Read] asks the runtime and the control group, [Judge] is pure.
//
// It may import nothing of ours.
package memory
