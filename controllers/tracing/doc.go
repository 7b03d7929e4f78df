// Package tracing ties what is done together with what is told of it. Each line that is logged about an object
// while it is reconciled has the reconcile's ID, the ID of the last call to the cloud by which its support
// finds that, and where the reconcile is traced the ID of the trace. A trace, by OpenTelemetry, is one
// span for the reconcile with one for each call to the cloud below it.
//
// Nothing here holds up who is told of: spans wait in a bounded queue, and what the collector does not take in
// time is dropped.
//
// It may import controllers/cloud.
package tracing
