// The payer: takes jobs from the broker, long after the token of the request has ended. Usage: delegated -config FILE
// [-subscribe]
//
// A job is paid once, refused for good (a note on refunds.refused says why), or tried again until its time is over. If the
// configuration names a bank, refunds hands the job on to it with a narrower grant, and the bank pays.
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

	"notp.core-platform.internal/tools/examples/txn/apps/domain"
)

// The longest that a job waits for its next try.
const patience = 30 * time.Second

// refused is why a job cannot be done, now or later.
type refused struct{ code, detail string }

func (r refused) Error() string { return r.code + ": " + r.detail }

// role is what this workload does with a job.
type role struct {
	queue, sender      string // whence jobs come, and whose signature they have
	actor, action      string // as whom it acts, and what it asks its PDP
	redeems, decides   string // names of its steps
	token              string
	to, onward, handed string // to whom it hands the job on, by which queue, in which step; empty: it pays itself
}

func roleOf(w *domain.Workload) role {
	if w.ID == w.Bank {
		return role{queue: domain.Transfers, sender: w.Refunds, actor: "transferrer", action: "transfer",
			redeems: "step 7", token: "T3", decides: "step 8"}
	}
	r := role{queue: domain.Jobs, sender: w.Shop, actor: "payer", action: "pay",
		redeems: "step 4", token: "T2", decides: "step 5"}
	if w.Bank != "" {
		r.action, r.to, r.onward, r.handed = "hand_on", w.Bank, domain.Transfers, "step 6"
	}
	return r
}

type payer struct {
	*domain.Workload
	role
	broker domain.Queue
	paid   map[string]bool   // by the id of the job; or handed on
	kept   map[string]*token // by the number of the grant: a grant gives a token once
}

type token struct {
	text, grant string // grant: for the one that it is handed on to
	ends        time.Time
}

func main() {
	config := flag.String("config", "delegated.json", "configuration")
	subscribe := flag.Bool("subscribe", false, "let the broker keep jobs from now on, and end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	workload, err := domain.Load(*config)
	if err == nil {
		p := &payer{Workload: workload, role: roleOf(workload), paid: map[string]bool{}, kept: map[string]*token{}}
		err = p.run(ctx, *subscribe)
	}
	if err != nil && ctx.Err() == nil {
		slog.Error("ended", "why", err.Error())
		os.Exit(1)
	}
}

func (p *payer) run(ctx context.Context, subscribe bool) error {
	if err := p.readPaid(); err != nil {
		return err
	}
	var err error
	if p.broker, err = p.Connect(ctx); err != nil {
		return err
	}
	defer p.broker.Close()
	jobs, err := p.broker.Receive(ctx, p.queue)
	if err != nil || subscribe {
		return err
	}
	slog.Info("waiting for jobs", "as", p.ID)
	for {
		select {
		case <-ctx.Done():
			return nil
		case job := <-jobs:
			if err := p.take(ctx, job); err != nil {
				slog.Warn("the broker did not take an acknowledgement", "why", err.Error())
			}
		}
	}
}

// take does one job, and tells the broker what became of it.
func (p *payer) take(ctx context.Context, delivery domain.Delivery) error {
	err := p.do(ctx, delivery.Message())
	if err == nil {
		return delivery.Done(ctx)
	}
	var final refused
	if errors.As(err, &final) {
		slog.Warn("refused", "code", final.code, "detail", final.detail, "place", delivery.Place())
		// The message itself may hold what it should not: the note has its place instead.
		note, _ := json.Marshal(map[string]any{"code": final.code, "detail": final.detail, "place": delivery.Place()})
		if _, err := p.broker.Send(ctx, domain.Refused, delivery.Place(), note); err != nil {
			return err
		}
		return delivery.Done(ctx)
	}
	wait := min(250*time.Millisecond<<min(delivery.Count(), 10), patience)
	slog.Info("later", "why", err.Error(), "delivered", delivery.Count(), "wait", wait)
	return delivery.Later(wait)
}

func (p *payer) do(ctx context.Context, jws []byte) error {
	// The message is the sender's: is this what it signed?
	message, job, err := p.Open(jws, p.sender)
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
		return fmt.Errorf("%s: %w", p.redeems, err)
	}

	// Step 5: may it be paid?
	decision, err := p.Decide(ctx, p.action, held.text, message.Job)
	if err != nil {
		return fmt.Errorf("%s: %w", p.decides, err)
	}
	if decision.Token == "unknown_key" { // a new key of the service, which this PDP will have soon
		return fmt.Errorf("%s: the PDP denies it for now: %q", p.decides, decision.Reasons)
	}
	if !decision.Allow {
		return refused{"denied", fmt.Sprintf("%q", decision.Reasons)}
	}
	transaction := decision.Transaction
	slog.Info(fmt.Sprintf("%s: the payer's PDP allows it with %s", p.decides, p.token), "txn", transaction.Txn,
		"sub", transaction.Sub, "actor", transaction.Actor, "by", transaction.By, "chain", transaction.Chain, "root", transaction.Root)
	if p.to != "" {
		if err := p.handOn(ctx, message.Job, job, held, transaction.Txn); err != nil {
			return fmt.Errorf("%s: %w", p.handed, err)
		}
	}
	if err := p.write(job, decision); err != nil {
		return err
	}
	delete(p.kept, message.Grant)
	if p.to == "" {
		slog.Info("paid", "job", job.ID, "order", job.Order, "amount", job.Amount)
	}
	return nil
}

// handOn sends the job as it came, signed by this workload, with the grant that came with this workload's token.
func (p *payer) handOn(ctx context.Context, text json.RawMessage, job *domain.Job, held *token, txn string) error {
	message, err := p.Sign(domain.Message{Job: text, Grant: held.grant, Txn: txn})
	if err != nil {
		return err
	}
	place, err := p.broker.Send(ctx, p.onward, job.ID, []byte(message))
	if err != nil {
		return err
	}
	slog.Info(p.handed+": the broker has the job for the next one, and no token", "job", job.ID, "place", place)
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
	details := map[string]any{
		"actor":  p.actor,
		"order":  job.Order,
		"amount": job.Amount,
		"grant":  message.Grant,
		"digest": domain.Digest(message.Job), // of the job as it arrived
	}
	if p.to != "" { // the same again for the next one: never more than this workload has itself
		details["delegate"] = domain.Delegate{To: p.to, Scope: "refund.pay", NotAfter: job.NotAfter, Digest: domain.Digest(message.Job)}
	}
	issued, err := p.Exchange(ctx, domain.Wish{
		Scope:            []string{"refund.pay"},
		SubjectToken:     own,
		SubjectTokenType: domain.SelfSigned,
		Details:          details,
	})
	if err != nil {
		return nil, err
	}
	slog.Info(fmt.Sprintf("%s: the service issued %s for the grant", p.redeems, p.token), "scope", issued.Scope,
		"expires_in", issued.ExpiresIn, "grant", message.Grant)
	held := &token{issued.Token, issued.Grant, time.Now().Add(time.Duration(issued.ExpiresIn) * time.Second)}
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
