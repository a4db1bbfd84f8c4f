package snapshot

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/unit"
)

// txnModule returns the module that the agent makes for a worker, out of its source; of a node without a lane.
func txnModule(t testing.TB) string { return txnModuleOf(t, "", "false") }

func txnModuleOf(t testing.TB, lane, hasLane string) string {
	t.Helper()
	source, err := os.ReadFile("../../../txn_module.cpp")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, name := range []string{"kStart", "kWorkerVerify", "kRest"} {
		found := regexp.MustCompile(`(?s)` + name + ` = *R"rego\((.*?)\)rego"`).FindSubmatch(source)
		if found == nil {
			t.Fatalf("%s is not in txn_module.cpp", name)
		}
		text += string(found[1])
	}
	return strings.NewReplacer("@KEYS@", `"txn"`, "@AUDIENCE@", `"domain.example"`, "@HAS_LANE@", hasLane, "@PATH@", `"keys/txn/"`, "@LANE@", lane, "@PLAIN@", "notp.txn.plain(token)",
		"@BYTES@", "8192", "@LIFE@", "600", "@AHEAD@", "30", "@EXPONENT@", "3", "@LATEST@", "253402300799").Replace(text)
}

// txnKey is a key of the service.
type txnKey struct {
	kid string
	key *ecdsa.PrivateKey
}

func newTxnKey(kid string) txnKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return txnKey{kid, key}
}

func base64url(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

// set returns the document at keys/txn.
func txnSet(keys ...txnKey) string {
	var list []map[string]string
	for _, each := range keys {
		public, err := each.key.PublicKey.ECDH()
		if err != nil {
			panic(err)
		}
		point := public.Bytes()
		list = append(list, map[string]string{"kty": "EC", "kid": each.kid, "use": "sig", "alg": "ES256", "crv": "P-256",
			"x": base64url(point[1:33]), "y": base64url(point[33:])})
	}
	text, _ := json.Marshal(map[string]any{"issuer": "https://tts.example", "keys": list})
	return string(text)
}

func (k txnKey) token(change func(header, claims map[string]any)) string {
	now := time.Now().Unix()
	header := map[string]any{"typ": "txntoken+jwt", "alg": "ES256", "kid": k.kid}
	claims := map[string]any{
		"iss": "https://tts.example", "iat": now, "exp": now + 300, "aud": "domain.example",
		"txn": "97053963-771d-49cc-a4e3-20aad399c312", "sub": "d084sdrt234fsaw34tr23t", "scope": "trade.stocks",
		"req_wl": "spiffe://domain.example/ns/shop/sa/gateway",
		"tctx":   map[string]any{"action": "BUY", "ticker": "MSFT", "quantity": "100", "customer_type": map[string]any{"geo": "US", "level": "VIP"}},
		"rctx":   map[string]any{"req_ip": "69.151.72.123", "authn": "urn:ietf:rfc:6749"},
	}
	if change != nil {
		change(header, claims)
	}
	head, _ := json.Marshal(header)
	body, _ := json.Marshal(claims)
	signing := base64url(head) + "." + base64url(body)
	hash := sha256.Sum256([]byte(signing))
	r, s, err := ecdsa.Sign(rand.Reader, k.key, hash[:])
	if err != nil {
		panic(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signing + "." + base64url(signature)
}

// txnWorld decides with the module and these policies.
func txnWorld(t testing.TB, set string, policies map[string]string) *world {
	return txnWorldOf(t, txnModule(t), set, policies)
}

func txnWorldOf(t testing.TB, module, set string, policies map[string]string) *world {
	w := newWorld(&testing.T{})
	w.ledgers = []frame.Ledger{{Name: "main"}, {Name: "own", Capabilities: []byte(`{"allow": ["` + strings.Join(unit.Internal, `","`) + `"]}`)}}
	r := release{modules: map[string]string{"txn.rego": module}, ledgerOf: map[string]uint16{"txn.rego": 1, "tokens.rego": 1},
		documents: map[string]string{"keys/txn": set}}
	for name, text := range policies {
		r.modules[name] = text
	}
	if _, failure := w.try(r); failure != nil {
		t.Fatal(failure)
	}
	return w
}

func tokenInput(token string) string {
	return fmt.Sprintf(`{"token": %q, "sub": "d084sdrt234fsaw34tr23t"}`, token)
}
