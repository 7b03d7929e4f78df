// Package credentials turns what an object says about its account into a client of
// the cloud: a Secret in the object's namespace, or the operator's own credentials from
// its environment, from files, or from who issues temporary keys.
//
// A Keeper renews temporary keys long before they end, one attempt at a time, and gives one set of keys that belong
// together; a Directory gives the files of one generation.
//
// A Secret is never listed or watched, but read by name: anew for each object that is not
// in line, and once for all others that take an answer so old. Clients are kept by a hash
// of the whole content, so that a rotated key takes effect with the next read.
//
// It may import api and controllers/cloud.
package credentials
