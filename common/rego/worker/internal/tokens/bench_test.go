package tokens

import (
	"fmt"
	"testing"

	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/tokens/tokenstest"
)

// BenchmarkLookup is of the record alone, without OPA's call of a function: the first use of a table in an
// evaluation, the clock and all.
func BenchmarkLookup(b *testing.B) {
	var holder Holder
	var all [shardCount][]tokenstest.Token
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("token-%032x", i)
		t := tokenstest.Token{ID: tokenstest.ID(names[i]), End: 1 << 40, Issued: 1, Issuer: issuer, Client: "shop", Scope: "openid profile payments:read",
			Audience: []string{"https://api.example"}, Subject: fmt.Sprintf("8b7ee5c2-1f0e-4b0a-9d5c-%012x", i)}
		all[t.ID[0]>>2] = append(all[t.ID[0]>>2], t)
	}
	update := frame.Tokens{Whole: true, Lane: frame.Lane{Name: "main", Contact: contactHeard, Complete: true, Serves: true}}
	for i, tokens := range all {
		update.Shards = append(update.Shards, frame.TokenShard{Index: uint8(i), Base: frame.BaseStays, Delta: tokenstest.Segment(tokens, nil, nil)})
	}
	if err := holder.Apply(update, nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		use := NewUse(&holder)
		if found, err := use.Lookup(names[i*7919%len(names)]); found == nil || err != nil {
			b.Fatal(found, err)
		}
		use.End()
	}
}
