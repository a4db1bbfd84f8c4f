// The records that are in the ring and in no segment, in memory.
#pragma once

#include <deque>
#include <memory>

#include "notp-client/spool/ring_file.hpp"
#include "protocol/record/record.hpp"

namespace notp::spool {

struct Unsealed {
  record::Kind kind = record::Kind::kDecision;
  int64_t time_ns = 0;
  Bytes frame;
  RingPlace after;  // where the next one begins
  record::Position position() const { return after.position - 1; }
  ByteView record() const { return ByteView(frame).substr(kFrameHeadBytes); }
};
using UnsealedPtr = std::shared_ptr<const Unsealed>;
using Backlog = std::deque<UnsealedPtr>;

// What only the caller of write_record() knows of its place.
struct RecordPlace {
  uint32_t run = 0;
  record::Position active = 0;
};

// Writes a record to the ring at `end`, moves `end` behind it and adds it to the backlog. `content`
// is from encode_content() with `time_ns`. kIo: nothing has changed but the bytes behind `end`.
Result<void> write_record(RingFile& ring, RingPlace& end, Backlog& backlog, record::Kind kind,
                          RecordPlace place, int64_t time_ns, ByteView content);

// Writes all of the backlog to the beginning of a new ring. Returns where the next record goes:
// `next`. kIo.
Result<RingPlace> move_backlog(RingFile& ring, Backlog& backlog, record::Position next);

}  // namespace notp::spool
