package builtin

import (
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

// TxnRules are what the agent's module system.notp.txn says of itself.
type TxnRules struct {
	Keys     string `json:"keys"`     // name below data.keys
	Audience string `json:"audience"` // the trust domain
	Lane     bool   `json:"lane"`     // what the node's lane revokes is refused
}

// TxnResults are the results of one evaluation's rules and functions, as OPA keeps them, with one that is
// there before it is asked for: what data.system.notp.txn.verify gives for a token that is remembered, or
// that has the usual form. OPA evaluates a function when it finds no result; so it does for any other
// token. A result that is found costs less than a function does.
func (m *Meter) TxnResults(rules *TxnRules, now time.Time, recorded builtins.NDBCache) topdown.VirtualCache {
	return &txnResults{VirtualCache: topdown.NewVirtualCache(), meter: m, rules: rules, now: now, recorded: recorded}
}

type txnResults struct {
	topdown.VirtualCache
	meter    *Meter
	rules    *TxnRules
	now      time.Time
	recorded builtins.NDBCache // nil: nothing is recorded
}

// Get returns a result; nil: there is none yet.
func (r *txnResults) Get(ref ast.Ref) (*ast.Term, bool) {
	if len(ref) == 2 && isTxnVerify(ref[0]) {
		if claims := r.verify(ref[1]); claims != nil {
			return claims, false
		}
	}
	return r.VirtualCache.Get(ref)
}

var txnVerify = ast.MustParseRef("data.system.notp.txn.verify")

func isTxnVerify(operator *ast.Term) bool {
	ref, ok := operator.Value.(ast.Ref)
	return ok && len(ref) == len(txnVerify) && ref.Equal(txnVerify)
}

func (r *txnResults) verify(token *ast.Term) *ast.Term {
	text, ok := token.Value.(ast.String)
	if !ok {
		return nil
	}
	memo := r.meter.Memo
	claims := memo.recall(string(text), float64(r.now.UnixNano())/1e9)
	if claims == nil {
		if claims = memo.verify(string(text), r.rules, r.now.Unix(), &r.meter.forged); claims == nil {
			return nil
		}
		memo.keep(string(text), claims)
	}
	if r.rules.Lane {
		// If it is revoked, or the table is damaged, the module finds that out again, and says so.
		if revoked, err := r.meter.Tokens.Revoked(claims.Value); revoked || err != nil {
			return nil
		}
	}
	if r.recorded != nil {
		r.recorded.Put(txnRecall.Name, ast.NewArray(token), claims.Value)
		if r.rules.Lane {
			r.recorded.Put(tokensRevoked.Name, ast.NewArray(claims), ast.Boolean(false))
		}
	}
	return claims
}
