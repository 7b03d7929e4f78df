package credentials

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"vpcmirror.io/operator/controllers/cloud"
)

// maxClients bounds how many clients are kept. The least recently used is dropped first;
// the client of a key that was rotated away is never used again and so is dropped in time.
const maxClients = 512

// fingerprintSum is the fingerprint of credentials.
type fingerprintSum [sha256.Size]byte

// fingerprint is the SHA-256 of all fields, each with its length before it, so that
// no two different contents give the same input.
func fingerprint(c cloud.Credentials) fingerprintSum {
	h := sha256.New()
	for _, field := range []string{
		c.AccessKey, c.SecretKey, c.SecurityToken, c.Region, c.ProjectID, c.Endpoint, c.IAMEndpoint, c.ECSEndpoint, c.ELBEndpoint, c.CABundle, c.Agency.Name, c.Agency.Domain,
	} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(field))))
		h.Write([]byte(field))
	}
	if c.Issued != nil { // a client holds on to it, so that no other has its address as long as the client is kept
		fmt.Fprintf(h, "%p", c.Issued)
	}
	if c.Shared { // its errors say less
		h.Write([]byte{1})
	}
	return fingerprintSum(h.Sum(nil))
}

// clients keeps the most recently used clients.
type clients struct {
	limit int

	mu    sync.Mutex
	byKey map[fingerprintSum]*list.Element
	order *list.List // of *entry, the most recently used first
}

type entry struct {
	key    fingerprintSum
	client cloud.Client
}

func newClients(limit int) *clients {
	return &clients{limit: limit, byKey: map[fingerprintSum]*list.Element{}, order: list.New()}
}

// get gives the client for key, or nil.
func (c *clients) get(key fingerprintSum) cloud.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.byKey[key]
	if !ok {
		return nil
	}
	c.order.MoveToFront(element)
	return element.Value.(*entry).client // put stores nothing else
}

// put keeps a client and gives the one that is in force: another goroutine may have
// been first, because clients are made outside of the lock.
func (c *clients) put(key fingerprintSum, made cloud.Client) cloud.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.byKey[key]; ok {
		c.order.MoveToFront(element)
		return element.Value.(*entry).client // put stores nothing else
	}
	c.byKey[key] = c.order.PushFront(&entry{key: key, client: made})
	if c.order.Len() > c.limit {
		oldest := c.order.Back()
		c.order.Remove(oldest)
		delete(c.byKey, oldest.Value.(*entry).key) // put stores nothing else
	}
	return made
}
