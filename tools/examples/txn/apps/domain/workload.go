// Package domain is what the two applications of the example have in common: who they are, how they ask for transaction
// tokens and for decisions, and what they send each other.
package domain

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Config is the configuration of an application, a JSON file.
type Config struct {
	TrustDomain string   `json:"trust_domain"`
	Certificate string   `json:"certificate"` // PEM files: this workload's chain and key, the domain's authority
	Key         string   `json:"key"`
	CA          string   `json:"ca"`
	Service     struct { // the Txn-Token Service
		Issuer   string `json:"issuer"`
		Endpoint string `json:"endpoint"`
		Identity string `json:"identity"` // its SPIFFE id
	} `json:"service"`
	Decision string `json:"decision"` // URL of refunds/decision at the PDP beside this application
	Broker   string `json:"broker"`   // nats://… or mqtt://…
	Shop     string `json:"shop"`     // SPIFFE ids of the applications
	Refunds  string `json:"refunds"`
	Bank     string `json:"bank"` // when the job is handed on to it; not set: refunds pays
	Login    struct {
		Endpoint string `json:"endpoint"` // token endpoint of the OpenID provider
		Client   string `json:"client"`
		Secret   string `json:"secret"`
	} `json:"login"`
	Paid string `json:"paid"` // file of the payments made
}

// Workload is an application with its certificate.
type Workload struct {
	Config
	ID      string // its SPIFFE id
	chain   [][]byte
	key     *ecdsa.PrivateKey
	roots   *x509.CertPool
	service *http.Client // to the Txn-Token Service
}

// Load reads the configuration and the files that it names.
func Load(file string) (*Workload, error) {
	w := &Workload{roots: x509.NewCertPool()}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := strictly(text, &w.Config); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	authority, err := os.ReadFile(w.CA)
	if err != nil {
		return nil, err
	}
	w.roots.AppendCertsFromPEM(authority)
	own, err := tls.LoadX509KeyPair(w.Certificate, w.Key)
	if err != nil {
		return nil, err
	}
	w.chain = own.Certificate
	w.key, _ = own.PrivateKey.(*ecdsa.PrivateKey)
	if w.key == nil {
		return nil, errors.New("this example signs with ES256: give it a certificate with a P-256 key")
	}
	if w.ID, err = spiffeID(own.Leaf); err != nil {
		return nil, err
	}
	w.service = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{own},
		// The service is known by its SPIFFE id, not by a name in DNS: VerifyConnection checks all of it.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return w.verify(state.PeerCertificates, w.Service.Identity, x509.ExtKeyUsageServerAuth)
		},
	}}}
	return w, nil
}

// verify checks a chain, leaf first, that must be of the domain's authority and of this identity.
func (w *Workload) verify(chain []*x509.Certificate, identity string, usage x509.ExtKeyUsage) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, each := range chain[1:] {
		between.AddCert(each)
	}
	options := x509.VerifyOptions{Roots: w.roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}}
	if _, err := chain[0].Verify(options); err != nil {
		return err
	}
	id, err := spiffeID(chain[0])
	if err == nil && id != identity {
		err = fmt.Errorf("this is %s, not %s", id, identity)
	}
	return err
}

func spiffeID(leaf *x509.Certificate) (string, error) {
	if len(leaf.URIs) != 1 || leaf.URIs[0].Scheme != "spiffe" {
		return "", errors.New("the certificate has no SPIFFE id")
	}
	return leaf.URIs[0].String(), nil
}

func (w *Workload) sign(typ string, claims jwt.Claims, header map[string]any) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["typ"] = typ
	for name, value := range header {
		token.Header[name] = value
	}
	return token.SignedString(w.key)
}

// strictly reads one JSON value without members that are not expected.
func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("more than one JSON value")
	}
	return nil
}
