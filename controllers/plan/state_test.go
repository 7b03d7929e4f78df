package plan_test

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// Each field counts, also one that is added later, but for when the cloud has made it.
func TestTheStateOfASessionIsOfEachOfItsFieldsInWhateverSpelling(t *testing.T) {
	want := plan.SessionState(someSession)
	for _, field := range reflect.VisibleFields(reflect.TypeFor[cloud.Session]()) {
		if field.Anonymous || field.Name == "CreatedAt" {
			continue
		}
		other := someSession
		differ(t, reflect.ValueOf(&other).Elem().FieldByIndex(field.Index))
		if plan.SessionState(other) == want {
			t.Errorf("%s does not count", field.Name)
		}
	}
	same := someSession
	same.Description, same.Sources, same.CreatedAt = same.Description+" ", []string{"s2", "s1", "s2"}, time.Unix(1, 0)
	if plan.SessionState(same) != want {
		t.Error("the spelling counts")
	}
}

func TestTheStateOfAFilterIsOfEachFieldOfItsRulesToo(t *testing.T) {
	filter := func() cloud.Filter {
		return cloud.Filter{ID: "id", Name: "name", Description: "words", Rules: []cloud.Rule{
			{ID: "a", RuleSpec: cloud.RuleSpec{Direction: cloud.Ingress, Priority: 1, Protocol: cloud.TCP, Description: "words"}}, {ID: "b"},
		}}
	}
	want := plan.FilterState(filter())
	for _, field := range reflect.VisibleFields(reflect.TypeFor[cloud.Filter]()) {
		if field.Name == "CreatedAt" {
			continue
		}
		other := filter()
		differ(t, reflect.ValueOf(&other).Elem().FieldByIndex(field.Index))
		if plan.FilterState(other) == want {
			t.Errorf("%s does not count", field.Name)
		}
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[cloud.Rule]()) {
		if field.Anonymous {
			continue
		}
		other := filter()
		differ(t, reflect.ValueOf(&other.Rules[0]).Elem().FieldByIndex(field.Index))
		if plan.FilterState(other) == want {
			t.Errorf("a rule's %s does not count", field.Name)
		}
	}
	same := filter()
	same.Description, same.Rules[0].Description, same.CreatedAt = " words", "words ", time.Unix(1, 0)
	slices.Reverse(same.Rules)
	if plan.FilterState(same) != want {
		t.Error("the spelling counts")
	}
}

// differ gives a field another value.
func differ(t *testing.T, field reflect.Value) {
	t.Helper()
	switch of := field.Addr().Interface().(type) {
	case *[]string:
		*of = append(slices.Clone(*of), "more")
	case *[]cloud.Rule:
		*of = (*of)[:1]
	case *netip.Prefix:
		*of = netip.MustParsePrefix("10.1.0.0/16")
	case *cloud.PortRange:
		*of = cloud.PortRange{Low: 7, High: 7}
	default:
		switch field.Kind() {
		case reflect.String:
			field.SetString(field.String() + "x")
		case reflect.Int:
			field.SetInt(field.Int() + 1)
		case reflect.Bool:
			field.SetBool(!field.Bool())
		default:
			t.Fatalf("there is no other value for a %s", field.Type())
		}
	}
}
