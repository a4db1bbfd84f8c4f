// The shop: takes a refund from somebody who is there, asks whether it may be requested, and leaves the paying to another
// application, later. Usage: requester -config FILE -order ORDER -amount EUROS [-channel web] [-within 1h]
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"notp.core-platform.internal/tools/examples/txn/apps/domain"
)

type request struct {
	order, channel string
	amount         int64
	within         time.Duration
}

func main() {
	config := flag.String("config", "requester.json", "configuration")
	var r request
	flag.StringVar(&r.order, "order", "o-1", "the order to be refunded")
	flag.StringVar(&r.channel, "channel", "web", "by which the request came")
	flag.Int64Var(&r.amount, "amount", 120, "euros")
	flag.DurationVar(&r.within, "within", time.Hour, "until when it may be paid")
	flag.Parse()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	shop, err := domain.Load(*config)
	if err == nil {
		err = run(ctx, shop, r)
	}
	if err != nil {
		slog.Error("refused", "why", err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, shop *domain.Workload, r request) error {
	// The job, as it will be sent. Its digest goes into the grant, so that no other job can use it.
	job := domain.Job{ID: "j-" + rand.Text(), Order: r.order, Amount: r.amount, NotAfter: time.Now().Add(r.within).Unix()}
	text, err := json.Marshal(job)
	if err != nil {
		return err
	}

	// Step 1: a transaction token for the user who is here, and a grant for the application that pays.
	subject, err := shop.LogIn(ctx)
	if err != nil {
		return err
	}
	issued, err := shop.Exchange(ctx, domain.Wish{
		Scope:            []string{"refund.request", "refund.pay"},
		SubjectToken:     subject,
		SubjectTokenType: domain.AccessToken,
		Context:          map[string]any{"channel": r.channel},
		Details: map[string]any{
			"actor":  "clerk",
			"order":  job.Order,
			"amount": job.Amount,
			"delegate": domain.Delegate{
				To: shop.Refunds, Scope: "refund.pay", NotAfter: job.NotAfter, Digest: domain.Digest(text)},
		},
	})
	if err != nil {
		return fmt.Errorf("step 1: %w", err)
	}
	slog.Info("step 1: the service issued T1, and a grant", "scope", issued.Scope, "expires_in", issued.ExpiresIn, "grant", issued.Grant)

	// Step 2: may it be requested?
	decision, err := shop.Decide(ctx, "request", issued.Token, text)
	if err != nil {
		return fmt.Errorf("step 2: %w", err)
	}
	if !decision.Allow {
		return fmt.Errorf("step 2: the PDP denies it: %q", decision.Reasons)
	}
	transaction := decision.Transaction
	slog.Info("step 2: the shop's PDP allows it with T1", "txn", transaction.Txn, "sub", transaction.Sub, "actor", transaction.Actor)

	// Step 3: the broker gets the job and two numbers. T1 stays here.
	message, err := shop.Sign(domain.Message{Job: text, Grant: issued.Grant, Txn: transaction.Txn})
	if err != nil {
		return err
	}
	broker, err := shop.Connect(ctx)
	if err != nil {
		return fmt.Errorf("step 3: %w", err)
	}
	defer broker.Close()
	place, err := broker.Send(ctx, domain.Jobs, job.ID, []byte(message))
	if err != nil {
		return fmt.Errorf("step 3: %w", err)
	}
	slog.Info("step 3: the broker has the job, and no token", "job", job.ID, "place", place, "bytes", len(message))
	return nil
}
