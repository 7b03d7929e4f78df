// Package plan asks the manager what it would do in the cloud, for "kubectl mirror plan": by a copy of each object that
// is suspended and names the original, which the manager answers in its status and which is deleted then. No key of
// the cloud is needed where it is asked.
//
// It may import api.
package plan

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// abandoned is the age of a copy that nobody waits for any more.
	abandoned = 10 * time.Minute
	// cleaning is how long the copies may take to be deleted, also after Ctrl-C.
	cleaning = 15 * time.Second
	// again is after how long the answer is looked for again.
	again = 200 * time.Millisecond
)

// Asker asks for plans.
type Asker struct {
	Client client.Client
	// Timeout is how long the manager may take for all of them.
	Timeout time.Duration
	// Warn is told what could not be checked, in a sentence.
	Warn func(string)
}

// question is a copy that was made, and what for.
type question struct {
	of   *unstructured.Unstructured
	copy *unstructured.Unstructured
}

// Ask returns what would be done for the objects as they are given, filters first. The copies are deleted when it
// returns, also where ctx ends.
func (a *Asker) Ask(ctx context.Context, objects []*unstructured.Unstructured) (answers []Answer, err error) {
	objects = slices.Clone(objects)
	slices.SortStableFunc(objects, func(x, y *unstructured.Unstructured) int { return strings.Compare(x.GetKind(), y.GetKind()) }) // MirrorFilter first
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	a.sweep(ctx, objects)
	var asked []question
	defer func() { err = errors.Join(err, a.clean(ctx, asked)) }()
	run := rand.String(10)
	for place, o := range objects {
		if isSuspended(o) {
			continue
		}
		if err := a.check(ctx, o); err != nil {
			return nil, err
		}
		copied := questionOf(o, run, place)
		asked = append(asked, question{o, copied}) // before it is made: an answer can be lost, and the copy is there
		if err := client.WithFieldValidation(a.Client, metav1.FieldValidationStrict).Create(ctx, copied); err != nil {
			if surelyRefused(err) {
				asked = asked[:len(asked)-1]
			}
			return nil, refused(o, copied, err)
		}
	}
	for _, o := range objects {
		answer := Answer{Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Suspended: isSuspended(o)}
		if i := slices.IndexFunc(asked, func(q question) bool { return q.of == o }); i >= 0 {
			if answer.Plan, err = a.await(ctx, asked[i]); err != nil {
				return nil, err
			}
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

func isSuspended(o *unstructured.Unstructured) bool {
	suspended, _, _ := unstructured.NestedBool(o.Object, "spec", "suspend")
	return suspended
}

// questionOf is the copy of an object by which a plan is asked for. It has nothing of the original but its spec: what
// labels and annotations mean to others, such as a tool that prunes, it must not mean for the copy.
func questionOf(o *unstructured.Unstructured, run string, place int) *unstructured.Unstructured {
	const longest = 200 // so that a name stays one with what is added
	name := o.GetName()
	copied := &unstructured.Unstructured{Object: map[string]any{}}
	copied.SetAPIVersion(o.GetAPIVersion())
	copied.SetKind(o.GetKind())
	copied.SetNamespace(o.GetNamespace())
	copied.SetName(strings.TrimRight(name[:min(len(name), longest)], ".-") + "-plan-" + rand.String(10))
	copied.SetLabels(map[string]string{v1alpha1.PlanLabel: run}) // by which those are found, too, that somebody could not delete
	copied.SetAnnotations(map[string]string{v1alpha1.PlanOfAnnotation: name, v1alpha1.PlanOrderAnnotation: strconv.Itoa(place)})
	spec, _, _ := unstructured.NestedMap(o.Object, "spec")
	if spec == nil {
		spec = map[string]any{}
	}
	spec["suspend"] = true
	copied.Object["spec"] = spec
	return copied
}

// check has the API server say whether it would take an object under its own name, where that was not read from it: some
// fields can't be changed, and the copy has the spec alone.
func (a *Asker) check(ctx context.Context, o *unstructured.Unstructured) error {
	if o.GetUID() != "" {
		return nil
	}
	is := &unstructured.Unstructured{}
	is.SetGroupVersionKind(o.GroupVersionKind())
	err := a.Client.Get(ctx, client.ObjectKeyFromObject(o), is)
	switch {
	case apierrors.IsNotFound(err):
		return a.checkNew(ctx, o)
	case err != nil:
		return fmt.Errorf("read the %s %s: %w", o.GetKind(), client.ObjectKeyFromObject(o), err)
	}
	is.Object["spec"] = runtime.DeepCopyJSONValue(o.Object["spec"])
	err = client.WithFieldValidation(a.Client, metav1.FieldValidationStrict).Update(ctx, is, client.DryRunAll)
	switch {
	case apierrors.IsForbidden(err):
		a.Warn(fmt.Sprintf("you may not update the %s %s, so it is not known whether the API server would take it", o.GetKind(), o.GetName()))
		return nil
	case err != nil:
		return refused(o, is, err)
	default:
		return nil
	}
}

// checkNew has the API server say whether it would take an object that does not exist: the copy has another name, and
// the spec alone of what is given.
func (a *Asker) checkNew(ctx context.Context, o *unstructured.Unstructured) error {
	is := o.DeepCopy()
	if err := client.WithFieldValidation(a.Client, metav1.FieldValidationStrict).Create(ctx, is, client.DryRunAll); err != nil {
		return refused(o, is, err)
	}
	return nil
}

// surelyRefused reports whether an error of a create says that nothing was made.
func surelyRefused(err error) bool {
	answer, is := errors.AsType[*apierrors.StatusError](err)
	return is && answer.ErrStatus.Code >= http.StatusBadRequest && answer.ErrStatus.Code < http.StatusInternalServerError
}

// refused says why the API server does not take an object, by the name that the object has for its user.
func refused(o, asked *unstructured.Unstructured, err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("the plan is asked for by a copy of the %s %s, which you may not create: have the right to create and delete %s in namespace %s (%w)",
			o.GetKind(), o.GetName(), strings.ToLower(o.GetKind())+"s", o.GetNamespace(), err)
	}
	if !surelyRefused(err) {
		return fmt.Errorf("ask the API server for the %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	text := err.Error()
	if made := asked.GetName(); made != "" && made != o.GetName() {
		text = strings.ReplaceAll(text, made, o.GetName())
	}
	return fmt.Errorf("the %s %s would be refused: %s", o.GetKind(), o.GetName(), text)
}

// await waits for the manager's answer.
func (a *Asker) await(ctx context.Context, q question) (*v1alpha1.Plan, error) {
	var found *v1alpha1.Plan
	err := wait.PollUntilContextCancel(ctx, again, true, func(ctx context.Context) (bool, error) {
		if err := a.Client.Get(ctx, client.ObjectKeyFromObject(q.copy), q.copy); err != nil {
			return false, fmt.Errorf("read the answer for the %s %s: %w", q.of.GetKind(), q.of.GetName(), err)
		}
		content, is, _ := unstructured.NestedMap(q.copy.Object, "status", "plan")
		if !is {
			return false, nil
		}
		found = &v1alpha1.Plan{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, found); err != nil {
			return false, fmt.Errorf("read the answer for the %s %s: %w", q.of.GetKind(), q.of.GetName(), err)
		}
		return true, nil
	})
	switch {
	case errors.Is(err, context.Canceled):
		return nil, fmt.Errorf("interrupted before the manager gave a plan for the %s %s", q.of.GetKind(), q.of.GetName())
	case wait.Interrupted(err):
		return nil, fmt.Errorf("the manager gave no plan for the %s %s within %s: see that it runs, and that it is of this version or a later one", q.of.GetKind(), q.of.GetName(), a.Timeout)
	}
	return found, err
}

// clean deletes the copies, whatever has ended.
func (a *Asker) clean(ctx context.Context, asked []question) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	for _, q := range asked {
		if failed := a.Client.Delete(ctx, q.copy); client.IgnoreNotFound(failed) != nil {
			err = errors.Join(err, fmt.Errorf("delete the copy %s of the %s, which does nothing: %w", q.copy.GetName(), q.of.GetKind(), failed))
		}
	}
	return err
}

// sweep deletes the copies that an earlier run could not. It is no matter where that fails.
func (a *Asker) sweep(ctx context.Context, objects []*unstructured.Unstructured) {
	seen := map[string]bool{}
	for _, o := range objects {
		of := o.GetKind() + o.GetNamespace()
		if seen[of] {
			continue
		}
		seen[of] = true
		left := &unstructured.UnstructuredList{}
		left.SetAPIVersion(o.GetAPIVersion())
		left.SetKind(o.GetKind() + "List")
		if a.Client.List(ctx, left, client.InNamespace(o.GetNamespace()), client.HasLabels{v1alpha1.PlanLabel}) != nil {
			continue
		}
		for i := range left.Items {
			one := &left.Items[i]
			if one.GetAnnotations()[v1alpha1.PlanOfAnnotation] != "" && time.Since(one.GetCreationTimestamp().Time) > abandoned {
				_ = a.Client.Delete(ctx, one)
			}
		}
	}
}
