// Verifies transaction tokens with golang-jwt, which was not written for them.
//
// Usage: golang-jwt KEYS AUDIENCE
//
//	KEYS     a file with the key set (RFC 7517 §5)
//	stdin    tokens, one a line
//	stdout   for each of them a JSON object: {"claims": …} or {"error": …}
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"

	"github.com/golang-jwt/jwt/v5"
)

type key struct{ Kid, Kty, Crv, X, Y, Alg string }

func (k key) public() (any, error) {
	x, err := base64.RawURLEncoding.DecodeString(k.X)
	if err != nil {
		return nil, err
	}
	switch k.Kty + " " + k.Crv {
	case "OKP Ed25519":
		return ed25519.PublicKey(x), nil
	case "EC P-256":
		y, err := base64.RawURLEncoding.DecodeString(k.Y)
		return &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}, err
	}
	return nil, fmt.Errorf("kty %s, crv %s", k.Kty, k.Crv)
}

func verify(text, audience string, keys []key) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(text, claims, func(token *jwt.Token) (any, error) {
		if token.Header["typ"] != "txntoken+jwt" {
			return nil, errors.New("typ")
		}
		for _, each := range keys {
			if each.Kid == token.Header["kid"] {
				return each.public()
			}
		}
		return nil, errors.New("kid")
	}, jwt.WithValidMethods([]string{"ES256", "EdDSA"}), jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"iat", "txn", "sub", "scope", "req_wl"} {
		if claims[name] == nil {
			return nil, errors.New("no " + name)
		}
	}
	return claims, nil
}

func main() {
	var set struct{ Keys []key }
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &set)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lines, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if claims, err := verify(lines.Text(), os.Args[2], set.Keys); err != nil {
			_ = out.Encode(map[string]any{"error": err.Error()})
		} else {
			_ = out.Encode(map[string]any{"claims": claims})
		}
	}
}
