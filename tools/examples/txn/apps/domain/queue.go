package domain

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"time"
)

// Queues of the example: jobs, those that are handed on, and what became of those that nobody can do.
const (
	Jobs      = "refunds.jobs"
	Transfers = "refunds.transfers"
	Refused   = "refunds.refused"
)

// Queue is a connection to a broker, which may be away now and later. Whatever the broker, a message comes at least once:
// also twice, in another order, to another process, and altered, if somebody has altered it.
type Queue interface {
	// Send returns where the broker has the message, once it has it. Some brokers take an id once.
	Send(ctx context.Context, queue, id string, message []byte) (string, error)
	// Receive makes what lasts: messages wait for this workload from now on, also while it is away.
	Receive(ctx context.Context, queue string) (<-chan Delivery, error)
	Close()
}

// Delivery is a message that the broker keeps until it is done.
type Delivery interface {
	Message() []byte
	// Place names the message to operators, who must not be shown what is in it.
	Place() string
	// Count is 1 the first time.
	Count() uint64
	// Done: it never comes again.
	Done(ctx context.Context) error
	// Later: it comes again after about this time.
	Later(wait time.Duration) error
}

// Connect connects to the broker that the configuration names: nats://… or mqtt://….
func (w *Workload) Connect(ctx context.Context) (Queue, error) {
	address, err := url.Parse(w.Broker)
	if err != nil {
		return nil, err
	}
	switch address.Scheme {
	case "nats":
		return connectNats(ctx, w.Broker, w.name())
	case "mqtt":
		return connectMqtt(ctx, address.Host, w.name())
	}
	return nil, fmt.Errorf("broker: %s is neither nats: nor mqtt:", w.Broker)
}

// name is what the broker knows the workload by: the last part of its SPIFFE id.
func (w *Workload) name() string { return path.Base(w.ID) }
