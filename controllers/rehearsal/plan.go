package rehearsal

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// naming has the addresses of interfaces, by ID.
type naming map[string]string

// of is how a plan calls an interface.
func (n naming) of(id string) string {
	if address := n[id]; address != "" {
		return fmt.Sprintf("%s (%s)", address, id)
	}
	return id
}

// own is how a plan calls an interface to somebody who shares the account with others: what somebody can have put there
// that is not the object's may be another namespace's.
func (n naming) own(id string) string {
	if _, known := n[id]; !known {
		return "another interface"
	}
	return n.of(id)
}

// planned are calls as a plan shows them, to somebody who shares the account with others where it is not private.
func planned(calls []call, name naming, shared bool) (shown []v1alpha1.PlannedCall, more int) {
	for _, c := range calls {
		if len(shown) == v1alpha1.MaxPlannedCalls {
			return shown, len(calls) - len(shown)
		}
		one := shownAs(c, name)
		if shared {
			conceal(one.Changes, name)
		}
		shown = append(shown, one)
	}
	return shown, 0
}

// conceal leaves out what stands in the place of what the object asks for, unless it is known to be the object's:
// somebody can have put there what is another namespace's, which lifecycle.Scope.Summary does not name either.
func conceal(changes []v1alpha1.PlannedChange, own naming) {
	known := map[string]bool{}
	for id := range own {
		known[own.of(id)] = true
	}
	for i := range changes {
		c := &changes[i]
		if foreign := c.Have != "" && !known[c.Have] && !strings.HasPrefix(c.Have, "new"); foreign && slices.Contains([]string{"filter", "target", "sources"}, c.Field) {
			c.Have = "another"
		}
	}
}

func shownAs(c call, name naming) v1alpha1.PlannedCall {
	shown := v1alpha1.PlannedCall{Operation: c.operation}
	var changes []v1alpha1.PlannedChange
	if s := c.session; s != nil {
		shown.ID = idOf(s, func(one cloud.Session) string { return one.ID })
		changes = compared(sessionFields(s.before, name), sessionFields(s.after, name))
	} else {
		shown.ID = idOf(c.filter, func(one cloud.Filter) string { return one.ID })
		changes = compared(filterFields(c.filter.before), filterFields(c.filter.after))
	}
	if len(changes) > v1alpha1.MaxPlannedChanges {
		changes = append(changes[:v1alpha1.MaxPlannedChanges-1], v1alpha1.PlannedChange{Field: "more", Want: fmt.Sprintf("%d fields", len(changes)-v1alpha1.MaxPlannedChanges+1)})
	}
	shown.Changes = changes
	return shown
}

func idOf[T any](c *change[T], id func(T) string) string {
	of := id(*cmp.Or(c.before, c.after))
	return cmp.Or(newName(of), of)
}

// field is one of what the cloud has, as text.
type field struct{ name, value string }

// compared are the fields whose values differ. A list differs by its items.
func compared(before, after []field) (changes []v1alpha1.PlannedChange) {
	was := map[string][]string{}
	for _, f := range before {
		was[f.name] = append(was[f.name], f.value)
	}
	is := map[string][]string{}
	for _, f := range after {
		is[f.name] = append(is[f.name], f.value)
	}
	var seen []string
	for _, f := range slices.Concat(before, after) {
		if slices.Contains(seen, f.name) {
			continue
		}
		seen = append(seen, f.name)
		gone, come := without(was[f.name], is[f.name]), without(is[f.name], was[f.name])
		for i := range max(len(gone), len(come)) {
			changes = append(changes, v1alpha1.PlannedChange{
				Field: f.name, Have: at(gone, i), Want: at(come, i),
			})
		}
	}
	return changes
}

func without(all, those []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(those, one) })
}

func at(all []string, i int) string {
	if i < len(all) {
		return all[i]
	}
	return ""
}

// sessionFields are those of a session that people know from the spec, none of one that does not exist.
func sessionFields(s *cloud.Session, name naming) []field {
	if s == nil {
		return nil
	}
	fields := []field{
		{"cloudName", s.Name}, {"description", described(s.Description)}, {"filter", cmp.Or(newName(s.FilterID), s.FilterID)},
		{"target", name.of(s.TargetID)}, {"vni", strconv.Itoa(s.VNI)}, {"packetLength", strconv.Itoa(s.PacketLength)},
		{"priority", strconv.Itoa(s.Priority)}, {"enabled", strconv.FormatBool(s.Enabled)},
	}
	for _, id := range slices.Sorted(slices.Values(s.Sources)) {
		fields = append(fields, field{"sources", name.of(id)})
	}
	return nonEmpty(fields)
}

// filterFields are those of a filter, its rules among them.
func filterFields(f *cloud.Filter) []field {
	if f == nil {
		return nil
	}
	fields := []field{{"cloudName", f.Name}, {"description", described(f.Description)}}
	for _, r := range plan.InOrder(f.Rules) {
		fields = append(fields, field{fmt.Sprintf("rules[%s %d]", r.Direction, r.Priority), ruleText(r.RuleSpec)})
	}
	return nonEmpty(fields)
}

func nonEmpty(fields []field) []field {
	return slices.DeleteFunc(fields, func(f field) bool { return f.value == "" })
}

// described is a description with its mark, whose UID says nothing to people.
func described(description string) string {
	if mark, marked := plan.MarkOf(description); marked {
		text := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(description), mark.String()))
		return strings.TrimSpace(text + " [vpcmirror]")
	}
	return description
}

// ruleText reads like: Accept TCP 10.0.0.0/8 to any port 80.
func ruleText(r cloud.RuleSpec) string {
	action := "Reject"
	if r.Accept {
		action = "Accept"
	}
	version := "IPv4"
	if r.IPv6 {
		version = "IPv6"
	}
	protocol := string(r.Protocol)
	text := fmt.Sprintf("%s %s %s %s to %s", action, version, protocol, peer(r.Source, r.SourcePorts), peer(r.Destination, r.DestinationPorts))
	if r.Description != "" {
		text += fmt.Sprintf(" (%s)", r.Description)
	}
	return text
}

func peer(prefix netip.Prefix, ports cloud.PortRange) string {
	text := "any"
	if prefix.IsValid() && prefix.Bits() > 0 {
		text = prefix.String()
	}
	switch {
	case ports == cloud.PortRange{}, ports.Low <= 1 && ports.High == 65535:
		return text
	case ports.Low == ports.High:
		return fmt.Sprintf("%s port %d", text, ports.Low)
	default:
		return fmt.Sprintf("%s ports %d-%d", text, ports.Low, ports.High)
	}
}
