package core

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Two returns two cores that this process may use, and whether they are apart: two threads of one
// physical core take each other's time. An error says that there is one core alone.
func Two() (first, second int, apart bool, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, 0, false, fmt.Errorf("ask which cores may be used: %w", err)
	}
	var allowed []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			allowed = append(allowed, cpu)
		}
	}
	if len(allowed) < 2 {
		return 0, 0, false, fmt.Errorf("two cores are needed, and of this machine %d may be used", len(allowed))
	}
	first, second, apart = two(allowed, siblings)
	return first, second, apart, nil
}

// two chooses the first core and the next one that is none of its siblings, or the next one.
func two(allowed []int, siblings func(int) []int) (first, second int, apart bool) {
	first = allowed[0]
	near := siblings(first)
	for _, other := range allowed[1:] {
		if !slices.Contains(near, other) {
			return first, other, true
		}
	}
	return first, allowed[1], false
}

// siblings are the threads of the physical core that a core belongs to, by
// Documentation/ABI/stable/sysfs-devices-system-cpu; none where the kernel does not tell.
func siblings(cpu int) []int {
	content, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
	if err != nil {
		return nil
	}
	return list(string(content))
}

// list reads numbers as the kernel writes them: "0,4" or "0-1". What is no number is left out.
func list(text string) []int {
	var all []int
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		low, err := strconv.Atoi(from)
		if err != nil {
			continue
		}
		high, err := strconv.Atoi(to)
		if err != nil {
			continue
		}
		for n := low; n <= high; n++ {
			all = append(all, n)
		}
	}
	return all
}
