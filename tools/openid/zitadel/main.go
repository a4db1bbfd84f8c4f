// Command zitadel is an OpenID provider for tests: the provider of github.com/zitadel/oidc on the storage of its example
// server, with JWT access tokens, keys that can be rotated, and a count of what it was asked.
//
// Usage: zitadel CONFIG
//
//	CONFIG  a JSON file with the members port, port_file, host, tls {certificate, key} and audience of
//	        tools/openid/provider.mjs. The client is "app", its secret "app-secret".
//
// It takes the commands of tools/openid/provider.mjs.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

type config struct {
	Port     int    `json:"port"`
	PortFile string `json:"port_file"`
	Host     string `json:"host"`
	Audience string `json:"audience"`
	TLS      *struct {
		Certificate string `json:"certificate"`
		Key         string `json:"key"`
	} `json:"tls"`
}

type key struct {
	id      string
	private *rsa.PrivateKey
}

func newKey() key {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	return key{uuid.NewString(), private}
}

type signing struct{ key }

func (k signing) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k signing) Key() any                                    { return k.private }
func (k signing) ID() string                                  { return k.id }

type published struct{ key }

func (k published) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k published) Use() string                        { return "sig" }
func (k published) Key() any                           { return &k.private.PublicKey }
func (k published) ID() string                         { return k.id }

// client has JWT access tokens; the example's are opaque.
type client struct{ op.Client }

func (client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

// store is the example's with keys of its own.
type store struct {
	*storage.Storage
	audience string
	app      op.Client

	lock     sync.Mutex
	keys     []key // the first signs
	next     chan key
	requests map[string]int
}

func (s *store) SigningKey(context.Context) (op.SigningKey, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return signing{s.keys[0]}, nil
}

func (s *store) KeySet(context.Context) ([]op.Key, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	var out []op.Key
	for _, k := range s.keys {
		out = append(out, published{k})
	}
	return out, nil
}

func (s *store) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

func (s *store) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	if id != "app" || secret != "app-secret" {
		return nil, errors.New("wrong client or secret")
	}
	return s.app, nil
}

func (s *store) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{s.audience}, Scopes: scopes}, nil
}

func (s *store) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.lock.Lock()
		s.requests[r.URL.Path]++
		s.lock.Unlock()
		next.ServeHTTP(w, r)
	})
}

func (s *store) rotate() {
	k := <-s.next
	s.lock.Lock()
	defer s.lock.Unlock()
	s.keys = append([]key{k}, s.keys...)
}

func (s *store) retire() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.keys = s.keys[:1]
}

func (s *store) state(w http.ResponseWriter) {
	s.lock.Lock()
	defer s.lock.Unlock()
	var kids []string
	for _, k := range s.keys {
		kids = append(kids, k.id)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(map[string]any{"kid": kids[0], "kids": kids, "requests": s.requests}); err != nil {
		log.Print(err)
	}
}

func (s *store) commands() http.Handler {
	commands := http.NewServeMux()
	add := func(pattern string, command func()) {
		commands.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			command()
			s.state(w)
		})
	}
	add("POST /rotate", s.rotate)
	add("POST /retire", s.retire)
	add("GET /state", func() {})
	return commands
}

// newStore keeps a key ready: a rotation takes no time.
func newStore(audience string) *store {
	example := storage.NewStorage(storage.NewUserStore("http://127.0.0.1/"))
	user, err := example.ClientCredentials(context.Background(), "sid1", "verysecret")
	if err != nil {
		log.Fatal(err)
	}
	s := &store{Storage: example, audience: audience, app: client{user}, keys: []key{newKey()},
		next: make(chan key, 1), requests: map[string]int{}}
	go func() {
		for {
			s.next <- newKey()
		}
	}()
	return s
}

func listen(port int) (net.Listener, int) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		log.Fatal(err)
	}
	return listener, listener.Addr().(*net.TCPAddr).Port
}

func read(file string) config {
	c := config{Host: "127.0.0.1", Audience: "orders"}
	text, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		log.Fatal(err)
	}
	return c
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: zitadel CONFIG")
	}
	c := read(os.Args[1])
	s := newStore(c.Audience)
	listener, port := listen(c.Port)
	control, controlPort := listen(0)
	scheme, options := "http", []op.Option{op.WithAllowInsecure()}
	if c.TLS != nil {
		scheme, options = "https", nil
	}
	issuer := fmt.Sprintf("%s://%s:%d", scheme, c.Host, port)
	provider, err := op.NewProvider(&op.Config{}, s, op.StaticIssuer(issuer), options...)
	if err != nil {
		log.Fatal(err)
	}
	ports, err := json.Marshal(map[string]any{"issuer": issuer, "port": port, "control": controlPort})
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(control, s.commands())) }()
	if err := errors.Join(os.WriteFile(c.PortFile+".new", ports, 0o600), os.Rename(c.PortFile+".new", c.PortFile)); err != nil {
		log.Fatal(err)
	}
	if c.TLS != nil {
		log.Fatal(http.ServeTLS(listener, s.counted(provider), c.TLS.Certificate, c.TLS.Key))
	}
	log.Fatal(http.Serve(listener, s.counted(provider)))
}
