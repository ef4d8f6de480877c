package session

// Local is what one process keeps beside a store: the locks of its sessions,
// and the long responses that show them. Like the store it outlives managers,
// which come and go with each configuration.
type Local struct {
	Locks   *Locks
	Streams *Streams
}

// NewLocal returns an empty one.
func NewLocal() *Local { return &Local{Locks: NewLocks(), Streams: NewStreams()} }
