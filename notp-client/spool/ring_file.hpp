// The file of records that are in no segment yet (decisions.ring): a header and frames that wrap
// around. README.md has its format.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "common/descriptor.hpp"
#include "protocol/record/log_id.hpp"

namespace notp::spool {

// A frame is length (4 bytes) ‖ check (8) ‖ position (8) ‖ record, numbers little-endian. The check
// is XXH3-64 of position and record, seeded with the check of the frame before it: a frame that an
// earlier lap or an earlier run has left never continues a newer one.
inline constexpr size_t kFrameHeadBytes = 20;

// Turns kFrameHeadBytes ‖ record into a frame. Returns its check.
uint64_t finish_frame(Bytes& frame, record::Position position, uint64_t check_before);

struct RingHeader {
  uint64_t id = 0;        // random: which file this is
  uint64_t capacity = 0;  // bytes of frames
  record::LogId log;
  std::string boot_id;           // of the machine's start in which it was written; at most 40 bytes
  record::Position first = 0;    // of the frame that was to be written first, at offset 0
  record::Position synced = 0;   // everything below it was durable when this header was written
  record::Position written = 0;  // everything below it had been written
  record::Position lease = 0;    // no position from here on was given out
};

// Decisions that were given unrecorded before the record at `position` was written.
struct Unrecorded {
  record::Position position = 0;
  uint64_t count = 0;
};

// The place in a ring from which frames are live.
struct RingPlace {
  uint64_t ring = 0;    // RingHeader::id
  uint64_t offset = 0;  // in bytes, counted from the first frame on, over all laps
  record::Position position = 0;
  uint64_t check = 0;  // of the frame before it
};

// write() and write_unrecorded() are called by one thread at a time, the rest by one thread;
// both may run at once.
class RingFile {
 public:
  // Makes a file of zeros with the header, durable but for its name. An existing one is replaced.
  // kIo.
  static Result<std::shared_ptr<RingFile>> create(const std::filesystem::path& file,
                                                  RingHeader header);
  // kNotFound; kCorrupt: neither copy of the header is whole, or the file is shorter than it says;
  // kIo.
  static Result<std::shared_ptr<RingFile>> open(const std::filesystem::path& file);

  // Replaces the file of that name; durable after sync_folder(). Before it is used. kIo.
  Result<void> rename(const std::filesystem::path& to);

  const RingHeader& header() const { return header_; }
  // Writes a header; durable with the next sync(). header() stays.
  Result<void> write_header(const RingHeader& header);
  // The same, and header() becomes it. Before others use the ring.
  Result<void> begin_with(RingHeader header);
  // Writes at an offset as in RingPlace. kIo.
  Result<void> write(uint64_t offset, ByteView bytes);
  // Fills `out` from an offset. kIo.
  Result<void> read(uint64_t offset, std::span<char> out) const;
  Result<void> write_unrecorded(const Unrecorded& unrecorded);
  // nullopt: there is none, or it is damaged.
  std::optional<Unrecorded> read_unrecorded() const;
  // fdatasync. An error is final: what was written since the last success may be lost.
  Result<void> sync();

 private:
  RingFile(Descriptor file, std::filesystem::path path)
      : file_(std::move(file)), path_(std::move(path)) {}
  Result<void> fill(RingHeader header);
  Result<void> put(uint64_t at, ByteView bytes);
  Result<void> get(uint64_t at, std::span<char> out) const;
  std::optional<RingHeader> read_slot(size_t slot, uint64_t& sequence) const;

  Descriptor file_;
  std::filesystem::path path_;
  RingHeader header_;
  uint64_t sequence_ = 0;  // of the newest header; its parity is its slot
};

// Reads live frames in order. One thread.
class RingReader {
 public:
  RingReader(const RingFile& ring, const RingPlace& from) : ring_(ring), place_(from) {}

  struct Frame {
    record::Position position = 0;
    Bytes bytes;
    ByteView record() const { return ByteView(bytes).substr(kFrameHeadBytes); }
  };
  // nullopt: no whole frame with the next position follows. kIo.
  Result<std::optional<Frame>> next();
  // After the last frame that next() has returned.
  const RingPlace& place() const { return place_; }
  // Counts the positions from place() on that a damaged frame hides: up to the last whole frame
  // that can be found behind it. 0: nothing is behind.
  Result<uint64_t> count_hidden();

 private:
  struct Candidate {
    Frame frame;
    uint64_t check = 0;
    bool is_whole = false;
  };
  // nullopt: nothing at this place can be a frame.
  Result<std::optional<Candidate>> at(const RingPlace& place);

  const RingFile& ring_;
  RingPlace place_;
};

}  // namespace notp::spool
