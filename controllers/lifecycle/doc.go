// Package lifecycle is the life of an object of ours, written once for both kinds: its
// finalizer, its account, the guard of its Secret, and for each part that it owns in the
// cloud how that is found, created, brought in line and deleted without anything being
// leaked or made twice; and what an error means for the object's conditions.
//
//   - reconcile.go: the order of one reconcile.
//   - part.go: the life of one cloud object.
//   - expectations.go: creations whose outcome is not in a status yet.
//   - account.go, secrets.go, finalizer.go: what has to be so before the first create, and
//     after the last delete.
//   - outcome.go, problem.go: from an error to conditions, an event and the next reconcile.
//
// It may import api, controllers/cloud, controllers/credentials, controllers/fairqueue,
// controllers/inventory, controllers/liveness, controllers/plan, controllers/status and controllers/tracing.
package lifecycle
