package frame

import "testing"

// tokensFrame is the payload that the agent sends for these shards.
func tokensFrame(flags uint8, lane Lane, shards ...TokenShard) []byte {
	e := NewRequest(1, OpTokens)
	e.U8(flags)
	e.Str(lane.Name)
	e.U64(lane.Revision)
	e.U8(lane.Contact)
	e.U8(lane.Mode)
	var terms uint8
	if lane.Complete {
		terms |= laneComplete
	}
	if lane.Serves {
		terms |= laneServes
	}
	e.U8(terms)
	for _, number := range []int64{lane.Heard, int64(lane.HardSeconds), lane.Trusted, lane.Boot} {
		e.U64(uint64(number))
	}
	e.U32(uint32(len(shards)))
	for _, each := range shards {
		e.U8(each.Kind)
		e.U8(each.Index)
		e.U8(each.Base)
		e.Bytes(each.Delta)
	}
	return e.frame()[9:]
}

func FuzzDecodeTokens(f *testing.F) {
	lane := Lane{Name: "sessions", Revision: 1 << 40, Contact: 1, Complete: true, Heard: -1, HardSeconds: 900, Trusted: 1 << 50, Boot: 7}
	f.Add(tokensFrame(0, lane))
	f.Add(tokensFrame(tokensWhole|tokensMore, lane,
		TokenShard{Kind: ShardTokens, Index: 63, Base: BaseFile, Delta: []byte("NOTPSEG1")},
		TokenShard{Kind: ShardLists, Base: BaseStays}))
	f.Add(append(tokensFrame(tokensWhole, Lane{}), 0))
	f.Fuzz(func(t *testing.T, payload []byte) {
		update, err := DecodeTokens(payload)
		if err != nil {
			return
		}
		if len(update.Shards)*7 > len(payload) || update.Files() > len(update.Shards) {
			t.Error("more shards than bytes")
		}
		var flags uint8
		if update.Whole {
			flags |= tokensWhole
		}
		if update.More {
			flags |= tokensMore
		}
		again, err := DecodeTokens(tokensFrame(flags, update.Lane, update.Shards...))
		if err != nil || len(again.Shards) != len(update.Shards) || again.Lane != update.Lane {
			t.Errorf("what was read is not what is written: %v, %v", again, err)
		}
	})
}
