package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"

	"vpcmirror.io/operator/controllers/cloud"
)

func TestAReconcileEndsWithAnErrorThatAlarmsOnlyWhereNothingElseTellsOfIt(t *testing.T) {
	filters := schema.GroupResource{Group: "vpcmirror.io", Resource: "mirrorfilters"}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	late, done := context.WithTimeout(t.Context(), 0)
	defer done()
	for name, c := range map[string]struct {
		ctx    context.Context
		err    error
		alarms bool
	}{
		"the API server is away":       {t.Context(), errors.New("connection refused"), true},
		"it takes too long":            {late, late.Err(), true},
		"the manager stops":            {stopped, fmt.Errorf("read it: %w", errors.New("the connection is closed")), false},
		"somebody else was faster":     {t.Context(), fmt.Errorf("write the status: %w", apierrors.NewConflict(filters, "f", errors.New("changed"))), false},
		"it was read too early twice":  {t.Context(), errOutdated, false},
		"its status says why":          {t.Context(), Retry("Progressing", "not yet"), false},
		"its status says what is down": {t.Context(), fmt.Errorf("list: %w", &cloud.Error{Class: cloud.ClassServer, Op: "List"}), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Latest(c.ctx, func(bool) (ctrl.Result, error) { return ctrl.Result{}, c.err })
			if !errors.Is(err, c.err) {
				t.Fatalf("it ends with %v, want %v", err, c.err)
			}
			quiet, is := errors.AsType[interface {
				error
				Expected() bool
			}](err)
			if alarms := !is || !quiet.Expected(); alarms != c.alarms {
				t.Errorf("it alarms: %v, want %v", alarms, c.alarms)
			}
		})
	}
}
