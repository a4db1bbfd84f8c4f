// The payer: takes jobs from the broker, long after the token of the request has ended. Usage: delegated -config FILE
//
// A job is paid once, refused for good (a note on refunds.refused says why), or tried again until its time is over.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"notp.core-platform.internal/tools/examples/txn/apps/domain"
)

// The longest that a job waits for its next try.
const patience = 30 * time.Second

// refused is why a job cannot be done, now or later.
type refused struct{ code, detail string }

func (r refused) Error() string { return r.code + ": " + r.detail }

type payer struct {
	*domain.Workload
	paid map[string]bool   // by the id of the job
	kept map[string]*token // by the number of the grant: a grant gives a token once
}

type token struct {
	text string
	ends time.Time
}

func main() {
	config := flag.String("config", "delegated.json", "configuration")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	workload, err := domain.Load(*config)
	if err == nil {
		err = (&payer{workload, map[string]bool{}, map[string]*token{}}).run(ctx)
	}
	if err != nil && ctx.Err() == nil {
		slog.Error("ended", "why", err.Error())
		os.Exit(1)
	}
}

func (p *payer) run(ctx context.Context) error {
	if err := p.readPaid(); err != nil {
		return err
	}
	connection, stream, err := p.Connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	// Durable: what was not acknowledged comes again, also to another process.
	jobs, err := stream.CreateOrUpdateConsumer(ctx, domain.Stream, jetstream.ConsumerConfig{
		Durable: "payer", FilterSubject: domain.Jobs, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxDeliver: -1})
	if err != nil {
		return err
	}
	messages, err := jobs.Messages(jetstream.PullMaxMessages(1))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, messages.Stop)
	slog.Info("waiting for jobs", "as", p.ID)
	for {
		message, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			slog.Warn("the broker does not answer", "why", err.Error())
			continue
		}
		if err := p.take(ctx, stream, message); err != nil {
			slog.Warn("the broker did not take an acknowledgement", "why", err.Error())
		}
	}
}

// take does one job, and tells the broker what became of it.
func (p *payer) take(ctx context.Context, stream jetstream.JetStream, message jetstream.Msg) error {
	err := p.pay(ctx, message.Data())
	if err == nil {
		return message.DoubleAck(ctx)
	}
	about, unknown := message.Metadata()
	if unknown != nil {
		return unknown
	}
	var final refused
	if errors.As(err, &final) {
		slog.Warn("refused", "code", final.code, "detail", final.detail, "sequence", about.Sequence.Stream)
		// The message itself may hold what it should not: the note has its place in the stream instead.
		note, _ := json.Marshal(map[string]any{"code": final.code, "detail": final.detail, "sequence": about.Sequence.Stream})
		if _, err := stream.Publish(ctx, domain.Refused, note); err != nil {
			return err
		}
		return message.Term()
	}
	wait := min(250*time.Millisecond<<min(about.NumDelivered, 10), patience)
	slog.Info("later", "why", err.Error(), "delivered", about.NumDelivered, "wait", wait)
	return message.NakWithDelay(wait)
}

func (p *payer) pay(ctx context.Context, jws []byte) error {
	// Step 3 was the shop's: is this what it signed?
	message, job, err := p.Open(jws, p.Shop)
	if err != nil {
		return refused{"message", err.Error()}
	}
	if p.paid[job.ID] {
		slog.Info("paid already", "job", job.ID)
		return nil
	}
	if !time.Now().Before(job.End()) {
		return refused{"late", "the job's time was over at " + job.End().UTC().Format(time.RFC3339)}
	}

	// Step 4: a transaction token of its own, for the grant.
	held, err := p.redeem(ctx, message, job)
	if domain.IsFinal(err) {
		return refused{"no_token", err.Error()}
	}
	if err != nil {
		return fmt.Errorf("step 4: %w", err)
	}

	// Step 5: may it be paid?
	decision, err := p.Decide(ctx, "pay", held.text, message.Job)
	if err != nil {
		return fmt.Errorf("step 5: %w", err)
	}
	if decision.Token == "unknown_key" { // a new key of the service, which this PDP will have soon
		return fmt.Errorf("step 5: the PDP denies it for now: %q", decision.Reasons)
	}
	if !decision.Allow {
		return refused{"denied", fmt.Sprintf("%q", decision.Reasons)}
	}
	transaction := decision.Transaction
	slog.Info("step 5: the payer's PDP allows it with T2", "txn", transaction.Txn, "sub", transaction.Sub, "actor", transaction.Actor,
		"by", transaction.By, "chain", transaction.Chain, "root", transaction.Root)
	if err := p.write(job, decision); err != nil {
		return err
	}
	delete(p.kept, message.Grant)
	slog.Info("paid", "job", job.ID, "order", job.Order, "amount", job.Amount)
	return nil
}

func (p *payer) redeem(ctx context.Context, message *domain.Message, job *domain.Job) (*token, error) {
	if held := p.kept[message.Grant]; held != nil && time.Now().Before(held.ends) {
		return held, nil
	}
	// The same number each time for one grant: an answer that was lost is given again.
	own, err := p.OwnToken("redeem-" + message.Grant)
	if err != nil {
		return nil, err
	}
	issued, err := p.Exchange(ctx, domain.Wish{
		Scope:            []string{"refund.pay"},
		SubjectToken:     own,
		SubjectTokenType: domain.SelfSigned,
		Details: map[string]any{
			"actor":  "payer",
			"order":  job.Order,
			"amount": job.Amount,
			"grant":  message.Grant,
			"digest": domain.Digest(message.Job), // of the job as it arrived
		},
	})
	if err != nil {
		return nil, err
	}
	slog.Info("step 4: the service issued T2 for the grant", "scope", issued.Scope, "expires_in", issued.ExpiresIn, "grant", message.Grant)
	held := &token{issued.Token, time.Now().Add(time.Duration(issued.ExpiresIn) * time.Second)}
	p.kept[message.Grant] = held
	return held, nil
}

// payment is a line of the file of payments.
type payment struct {
	Job, Order, Sub, Txn, Root string
	Amount                     int64
}

func (p *payer) write(job *domain.Job, decision *domain.Decision) error {
	file, err := os.OpenFile(p.Config.Paid, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	t := decision.Transaction
	if err := json.NewEncoder(file).Encode(payment{job.ID, job.Order, t.Sub, t.Txn, t.Root, job.Amount}); err != nil {
		return err
	}
	p.paid[job.ID] = true
	return file.Sync()
}

// A job that came twice, or whose acknowledgement was lost, is not paid twice.
func (p *payer) readPaid() error {
	file, err := os.Open(p.Config.Paid)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := json.NewDecoder(file); lines.More(); {
		var line payment
		if err := lines.Decode(&line); err != nil {
			return fmt.Errorf("%s: %w", p.Config.Paid, err)
		}
		p.paid[line.Job] = true
	}
	return nil
}
