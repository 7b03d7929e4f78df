// Package rehearsal answers what would be done in the cloud if an object had another spec: the reconciler of the
// object's kind goes once through its life, with the object as it would be, a cloud in which writes are noted and
// take effect in memory alone, and an API server to which nothing is written. So a plan is what the reconciler does,
// by the same code, and not what a second one believes.
//
// It may import api, controllers/cloud, controllers/credentials, controllers/diagnosis, controllers/inventory,
// controllers/lifecycle, controllers/liveness, controllers/mirrorfilter, controllers/mirrorsession, controllers/plan,
// controllers/status and controllers/tracing.
package rehearsal
