package domain

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	tokenType   = "urn:ietf:params:oauth:token-type:"
	AccessToken = tokenType + "access_token"
	SelfSigned  = tokenType + "self_signed"
)

// Wish is what a workload asks the Txn-Token Service for.
type Wish struct {
	Scope            []string
	SubjectToken     string
	SubjectTokenType string
	Context, Details any
}

// Delegate asks for a grant beside the token: for this workload, not for more, and for the message of this digest alone.
type Delegate struct {
	To       string `json:"to"`
	Scope    string `json:"scope"`
	NotAfter int64  `json:"not_after"`
	Digest   string `json:"digest"`
}

// Issued is a transaction token, and the number of the grant that was made with it.
type Issued struct {
	Token     string `json:"access_token"`
	Type      string `json:"issued_token_type"`
	ExpiresIn int64  `json:"expires_in"`
	Scope     string `json:"scope"`
	Grant     string `json:"grant"`
}

// Refusal is an answer of the service without a token (RFC 6749 §5.2).
type Refusal struct {
	Status      int
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Code, r.Description) }

// IsFinal tells that asking again cannot help.
func IsFinal(err error) bool {
	var refusal *Refusal
	return errors.As(err, &refusal) && refusal.Status < 500 && refusal.Status != http.StatusTooManyRequests
}

// Exchange asks for a transaction token (draft-ietf-oauth-transaction-tokens-10, Txn-Token Request).
func (w *Workload) Exchange(ctx context.Context, wish Wish) (*Issued, error) {
	form := url.Values{
		"grant_type":           {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"requested_token_type": {tokenType + "txn_token"},
		"audience":             {w.TrustDomain},
		"scope":                {strings.Join(wish.Scope, " ")},
		"subject_token":        {wish.SubjectToken},
		"subject_token_type":   {wish.SubjectTokenType},
	}
	for name, value := range map[string]any{"request_context": wish.Context, "request_details": wish.Details} {
		if value != nil {
			text, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			form.Set(name, string(text))
		}
	}
	issued := &Issued{}
	if err := post(ctx, w.service, w.Service.Endpoint, form, nil, issued); err != nil {
		return nil, err
	}
	if issued.Type != tokenType+"txn_token" {
		return nil, fmt.Errorf("the service gave a %s", issued.Type)
	}
	return issued, nil
}

// LogIn gets the token of a user, who may not see the shop's refunds otherwise. A shop with a browser would have it from
// its session; here the user is a client of the provider.
func (w *Workload) LogIn(ctx context.Context) (string, error) {
	var answer struct {
		Token string `json:"access_token"`
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"orders"}}
	login := func(request *http.Request) { request.SetBasicAuth(w.Login.Client, w.Login.Secret) }
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.roots}}}
	if err := post(ctx, client, w.Login.Endpoint, form, login, &answer); err != nil {
		return "", fmt.Errorf("login: %w", err)
	}
	return answer.Token, nil
}

// The service wants aud as one text.
func init() { jwt.MarshalSingleStringAsArray = false }

// OwnToken is a token of the workload about itself. The service takes a number once, but for the same grant.
func (w *Workload) OwnToken(number string) (string, error) {
	now := time.Now()
	return w.sign("JWT", jwt.RegisteredClaims{
		Issuer: w.ID, Subject: w.ID, Audience: jwt.ClaimStrings{w.Service.Issuer}, ID: number,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(50 * time.Second))}, nil)
}

// Decision is what a PDP says of a transaction token and a job. Nothing of it is a secret.
type Decision struct {
	Allow       bool     `json:"allow"`
	Reasons     []string `json:"reasons"`
	Token       string   `json:"token"` // how it verifies
	Transaction struct {
		Txn   string   `json:"txn"`
		Sub   string   `json:"sub"`
		Actor string   `json:"actor"`
		By    string   `json:"by"`
		Chain []string `json:"chain"`
		Root  string   `json:"root"`
	} `json:"transaction"`
}

// Decide asks the PDP beside the application. No answer is no permission: an error.
func (w *Workload) Decide(ctx context.Context, action, token string, job json.RawMessage) (*Decision, error) {
	question, err := json.Marshal(map[string]any{
		"input": map[string]any{"action": action, "txn_token": token, "job": job}})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Decision, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	var answer struct {
		Result *Decision `json:"result"`
	}
	if err := send(http.DefaultClient, request, &answer); err != nil {
		return nil, fmt.Errorf("the PDP: %w", err)
	}
	if answer.Result == nil {
		return nil, errors.New("the PDP has no policy that decides")
	}
	return answer.Result, nil
}

func post(ctx context.Context, client *http.Client, address string, form url.Values, prepare func(*http.Request), into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if prepare != nil {
		prepare(request)
	}
	return send(client, request, into)
}

func send(client *http.Client, request *http.Request, into any) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		refusal := &Refusal{Status: response.StatusCode}
		if json.Unmarshal(body, refusal) != nil || refusal.Code == "" {
			refusal.Code = response.Status
		}
		return refusal
	}
	return json.Unmarshal(body, into)
}
