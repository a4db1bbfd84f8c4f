// The head of a segment: what questions ask most often of each of its records, in columns.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "protocol/record/record.hpp"

namespace notp::audit {

// What many records of a segment have in common.
struct RecordShape {
  record::Kind kind = record::Kind::kDecision;
  record::Outcome outcome = record::Outcome::kNone;
  std::string_view path, ledger;  // cut at kHeadPathBytesMax and kHeadLedgerBytesMax
  bool is_closed = false;         // the record is gone; nothing of it is told
};
// Views into the record.
RecordShape shape_of(const record::Record& record);

// Builds a head, record by record. Some 4 bytes each, most of them the time. One thread.
class HeadBuilder {
 public:
  // kInternal from build() for more than kSegmentRecordsMax records.
  void add(const record::Record& record);
  // Adds a record that is gone.
  void add_closed();
  // kInternal: compression failed.
  Result<Bytes> build() const;

 private:
  using Key = std::tuple<uint8_t, record::Outcome, std::string, std::string>;
  void add_shape(uint8_t kind, const RecordShape& shape);
  std::map<Key, uint16_t> known_;
  Bytes dictionary_;
  std::vector<uint16_t> shapes_;
  Bytes times_, active_;
  int64_t last_time_us_ = 0;
  record::Position last_active_ = 0;
};

// Reads a head. Each part is decompressed when it is asked for. One thread.
class HeadColumns {
 public:
  // Decodes the shapes. `head` must outlive the result. kCorrupt: it is not the head of `count`
  // records.
  static Result<HeadColumns> decode(ByteView head, size_t count);

  std::span<const RecordShape> shapes() const { return shapes_; }
  // For each record an index into shapes().
  std::span<const uint16_t> shape_of_record() const { return shape_of_record_; }
  // Microseconds, rounded down. kCorrupt.
  Result<std::vector<int64_t>> times_us() const;
  // Position of each record's ACTIVE record. kCorrupt.
  Result<std::vector<record::Position>> active() const;

 private:
  struct Part {
    ByteView frame;
    uint64_t content_bytes = 0;
  };
  static Result<Part> take_part(ByteView& in);
  static Result<Bytes> content_of(const Part& part);
  Result<void> read_shapes(const Part& part, size_t count);

  std::unique_ptr<Bytes> dictionary_;  // what shapes_ point into
  std::vector<RecordShape> shapes_;
  std::vector<uint16_t> shape_of_record_;
  Part times_, active_;
};

// The time of a record in a head: microseconds, rounded down.
int64_t head_time_us(int64_t time_ns);

}  // namespace notp::audit
