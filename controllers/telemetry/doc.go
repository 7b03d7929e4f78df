// Package telemetry tells Prometheus what the objects say: which mirrors are blind, by what cause, and how
// many packets came. It reads the manager's cache when it is scraped, so nothing is told of what is gone, and
// counts survive the pods that made them, because they are the status's. Only a manager that leads tells of
// objects: two of them would count everything twice.
//
// What is told is bounded by the objects, never by what a packet holds. How much that is, [Detail] says.
//
// It may import api, controllers/cloud and controllers/inventory.
package telemetry
