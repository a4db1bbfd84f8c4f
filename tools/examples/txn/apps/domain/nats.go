package domain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

type natsQueue struct {
	connection *nats.Conn
	stream     jetstream.JetStream
	name       string
}

const natsStream = "REFUNDS"

func connectNats(ctx context.Context, address, name string) (Queue, error) {
	connection, err := nats.Connect(address, nats.MaxReconnects(-1), nats.ReconnectWait(200*time.Millisecond))
	if err != nil {
		return nil, err
	}
	stream, err := jetstream.New(connection)
	if err == nil {
		_, err = stream.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: natsStream, Subjects: []string{"refunds.*"}, MaxAge: 7 * 24 * time.Hour, Duplicates: 2 * time.Minute})
	}
	if err != nil {
		connection.Close()
		return nil, err
	}
	return &natsQueue{connection, stream, name}, nil
}

func (q *natsQueue) Close() { q.connection.Close() }

func (q *natsQueue) Send(ctx context.Context, queue, id string, message []byte) (string, error) {
	stored, err := q.stream.Publish(ctx, queue, message, jetstream.WithMsgID(queue+" "+id))
	if err != nil {
		return "", err
	}
	return natsPlace(stored.Sequence), nil
}

func (q *natsQueue) Receive(ctx context.Context, queue string) (<-chan Delivery, error) {
	consumer, err := q.stream.CreateOrUpdateConsumer(ctx, natsStream, jetstream.ConsumerConfig{
		Durable: q.name, FilterSubject: queue, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxDeliver: -1})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1))
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, messages.Stop)
	out := make(chan Delivery)
	go func() {
		for {
			message, err := messages.Next()
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				return
			}
			if err != nil {
				slog.Warn("the broker does not answer", "why", err.Error())
				continue
			}
			about, err := message.Metadata()
			if err != nil {
				slog.Warn("the broker sent what it did not store", "why", err.Error())
				continue
			}
			select {
			case out <- natsDelivery{message, about}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

type natsDelivery struct {
	message jetstream.Msg
	about   *jetstream.MsgMetadata
}

func natsPlace(sequence uint64) string { return fmt.Sprintf("sequence %d", sequence) }

func (d natsDelivery) Message() []byte                { return d.message.Data() }
func (d natsDelivery) Place() string                  { return natsPlace(d.about.Sequence.Stream) }
func (d natsDelivery) Count() uint64                  { return d.about.NumDelivered }
func (d natsDelivery) Done(ctx context.Context) error { return d.message.DoubleAck(ctx) }
func (d natsDelivery) Later(wait time.Duration) error { return d.message.NakWithDelay(wait) }
