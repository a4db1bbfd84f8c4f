#include "notp-client/spool/backlog.hpp"

#include "common/failpoint.hpp"

namespace notp::spool {

Result<void> write_record(RingFile& ring, RingPlace& end, Backlog& backlog, record::Kind kind,
                          RecordPlace place, int64_t time_ns, ByteView content) {
  auto record = std::make_shared<Unsealed>();
  record->kind = kind;
  record->time_ns = time_ns;
  Bytes& frame = record->frame;
  frame.reserve(kFrameHeadBytes + record::kPlaceBytesMax + content.size());
  frame.resize(kFrameHeadBytes);
  record::append_place(frame, kind, {end.position, place.run, place.active});
  frame.append(content);
  const uint64_t check = finish_frame(frame, end.position, end.check);
  NOTP_TRY(ring.write(end.offset, frame));
  failpoint("spool.after_write");
  end = {end.ring, end.offset + frame.size(), end.position + 1, check};
  record->after = end;
  backlog.push_back(std::move(record));
  return {};
}

Result<RingPlace> move_backlog(RingFile& ring, Backlog& backlog, record::Position next) {
  RingPlace end{ring.header().id, 0, backlog.empty() ? next : backlog.front()->position(), 0};
  for (UnsealedPtr& record : backlog) {
    auto moved = std::make_shared<Unsealed>(*record);
    end.check = finish_frame(moved->frame, end.position, end.check);
    NOTP_TRY(ring.write(end.offset, moved->frame));
    end.offset += moved->frame.size();
    ++end.position;
    moved->after = end;
    record = std::move(moved);
  }
  return end;
}

}  // namespace notp::spool
