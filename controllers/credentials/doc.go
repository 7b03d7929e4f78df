// Package credentials turns what an object says about its account into a client of
// the cloud: a Secret in the object's namespace, read by name at each reconcile, or
// the operator's own credentials from its environment.
//
// A Secret is never listed or watched, and never cached as such: clients are kept by
// a hash of the whole content, so that a rotated key takes effect at once.
//
// It may import api and controllers/cloud.
package credentials
