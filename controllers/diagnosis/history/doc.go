// Package history says what has changed of what decides about the copies of a session, in sentences
// for status.changes: from two states of the session, of its filter, or of what was read of the way.
// It has no clock and asks nobody.
//
// It may import api, controllers/cloud, controllers/diagnosis and controllers/plan.
package history
