package domain

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// MQTT 3.1.1 with QoS 1. A message that is not acknowledged comes again when its receiver connects again, and not before:
// what is to be tried later is kept here, unacknowledged. Nothing is kept for a receiver that never was there, so it has to
// subscribe once before anything is sent.
type mqttQueue struct {
	client mqtt.Client
	name   string
	again  chan Delivery
}

const (
	mqttQoS      = 1
	mqttPatience = 10 * time.Second
)

func connectMqtt(ctx context.Context, host, name string) (Queue, error) {
	q := &mqttQueue{name: name, again: make(chan Delivery)}
	options := mqtt.NewClientOptions().
		AddBroker((&url.URL{Scheme: "tcp", Host: host}).String()).
		SetClientID(name).
		SetCleanSession(false). // the broker keeps what arrives while this workload is away
		SetAutoAckDisabled(true).
		SetAutoReconnect(true).SetMaxReconnectInterval(200 * time.Millisecond).
		SetOrderMatters(false). // a message that waits holds up no other
		SetResumeSubs(true)
	options.SetDefaultPublishHandler(func(_ mqtt.Client, message mqtt.Message) { q.deliver(ctx, message) })
	options.SetDialer(&net.Dialer{Timeout: mqttPatience})
	q.client = mqtt.NewClient(options)
	return q, done(ctx, q.client.Connect())
}

// done waits for the broker's answer.
func done(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(mqttPatience):
		return errors.New("the broker does not answer")
	}
}

func topic(queue string) string { return strings.ReplaceAll(queue, ".", "/") }

func (q *mqttQueue) Close() { q.client.Disconnect(250) }

func (q *mqttQueue) Send(ctx context.Context, queue, _ string, message []byte) (string, error) {
	return mqttPlace(message), done(ctx, q.client.Publish(topic(queue), mqttQoS, false, message))
}

func (q *mqttQueue) Receive(ctx context.Context, queue string) (<-chan Delivery, error) {
	return q.again, done(ctx, q.client.Subscribe(topic(queue), mqttQoS, nil))
}

func (q *mqttQueue) deliver(ctx context.Context, message mqtt.Message) {
	q.hand(ctx, &mqttDelivery{queue: q, ctx: ctx, message: message, count: 1})
}

func (q *mqttQueue) hand(ctx context.Context, delivery *mqttDelivery) {
	select {
	case q.again <- delivery:
	case <-ctx.Done():
	}
}

type mqttDelivery struct {
	queue   *mqttQueue
	ctx     context.Context
	message mqtt.Message
	count   uint64
}

// The broker does not number what it stores.
func mqttPlace(message []byte) string { return fmt.Sprintf("sha256 %x", sha256.Sum256(message)) }

func (d *mqttDelivery) Message() []byte { return d.message.Payload() }
func (d *mqttDelivery) Place() string   { return mqttPlace(d.message.Payload()) }
func (d *mqttDelivery) Count() uint64   { return d.count }

func (d *mqttDelivery) Done(context.Context) error {
	d.message.Ack()
	return nil
}

func (d *mqttDelivery) Later(wait time.Duration) error {
	again := *d
	again.count++
	time.AfterFunc(wait, func() { d.queue.hand(d.ctx, &again) })
	return nil
}
