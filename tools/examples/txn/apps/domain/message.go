package domain

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Job is a refund to be paid.
type Job struct {
	ID       string `json:"id"`
	Order    string `json:"order"`
	Amount   int64  `json:"amount"` // euros
	NotAfter int64  `json:"not_after"`
}

// Message is what the broker carries. It holds no token: the number of a grant is worth nothing to anybody but the
// workload that the grant is for.
type Message struct {
	Job   json.RawMessage `json:"job"`
	Grant string          `json:"grant"`
	Txn   string          `json:"txn"`
}

const messageTyp = "refund-job+jws"

var name = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// Digest binds a job to the grant that is made for it: SHA-256 of its bytes as they are sent.
func Digest(job json.RawMessage) string {
	sum := sha256.Sum256(job)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Sign makes a JWS of the message with the workload's key; x5c (RFC 7515 §4.1.6) has its certificate.
func (w *Workload) Sign(message Message) (string, error) {
	chain := make([]string, 0, len(w.chain))
	for _, each := range w.chain {
		chain = append(chain, base64.StdEncoding.EncodeToString(each))
	}
	return w.sign(messageTyp, message, map[string]any{"x5c": chain})
}

// Open verifies a message of this sender, and reads the job in it.
func (w *Workload) Open(jws []byte, sender string) (*Message, *Job, error) {
	message, job := &Message{}, &Job{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation())
	_, err := parser.ParseWithClaims(string(jws), message, func(token *jwt.Token) (any, error) {
		if token.Header["typ"] != messageTyp {
			return nil, errors.New("this is not a message for this queue")
		}
		chain, err := certificates(token.Header["x5c"])
		if err != nil {
			return nil, err
		}
		if err := w.verify(chain, sender, x509.ExtKeyUsageClientAuth); err != nil {
			return nil, fmt.Errorf("sender: %w", err)
		}
		return chain[0].PublicKey, nil
	})
	if err != nil {
		return nil, nil, err
	}
	if err := strictly(message.Job, job); err != nil {
		return nil, nil, fmt.Errorf("job: %w", err)
	}
	// Short names: there is no place for a token in them.
	for _, each := range []string{job.ID, job.Order, message.Grant, message.Txn} {
		if !name.MatchString(each) {
			return nil, nil, errors.New("job, grant and txn must be names of at most 40 letters and digits")
		}
	}
	return message, job, nil
}

func certificates(header any) ([]*x509.Certificate, error) {
	texts, _ := header.([]any)
	var chain []*x509.Certificate
	for _, each := range texts {
		text, _ := each.(string)
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, err
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, certificate)
	}
	return chain, nil
}

// UnmarshalJSON refuses members that a message does not have, so that nothing else travels with it.
func (m *Message) UnmarshalJSON(text []byte) error {
	type plain Message
	return strictly(text, (*plain)(m))
}

// A message is no set of claims, but signed as one.
func (m Message) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }
func (m Message) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (m Message) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (m Message) GetIssuer() (string, error)                   { return "", nil }
func (m Message) GetSubject() (string, error)                  { return "", nil }
func (m Message) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }

// End is when a job may not be done any more.
func (j *Job) End() time.Time { return time.Unix(j.NotAfter, 0) }
