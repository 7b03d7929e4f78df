// Package plan decides and does nothing: from what a spec wants and what the cloud
// has it makes an ordered list of steps and a diff that people can read. It has no
// I/O, no clock and no Kubernetes client, so every decision can be tested as a
// function.
//
// What must hold of every plan, and is tested as a property: when its steps are
// done, planning again gives no step; and while they are being done no packet is
// copied that neither the old nor the new state would copy.
//
// It may import api and controllers/cloud.
package plan

import (
	"fmt"
	"strings"
)

// Change is one difference between what is wanted and what the cloud has.
type Change struct {
	// Field in the words of the spec, such as "vni" or "rules[Ingress 1].protocol".
	Field string
	// Have is the cloud's value, Want the spec's, both for people to read.
	Have, Want string
}

// String reads like: vni is 7, wanted 1.
func (c Change) String() string {
	switch {
	case c.Have == "":
		return fmt.Sprintf("%s is missing, wanted %s", c.Field, c.Want)
	case c.Want == "":
		return fmt.Sprintf("%s is %s, not wanted", c.Field, c.Have)
	default:
		return fmt.Sprintf("%s is %s, wanted %s", c.Field, c.Have, c.Want)
	}
}

// Summary joins changes into one sentence.
func Summary(changes []Change) string {
	all := make([]string, 0, len(changes))
	for _, c := range changes {
		all = append(all, c.String())
	}
	return strings.Join(all, "; ")
}
