#include "notp-client/spool/ring_file.hpp"

#define XXH_INLINE_ALL
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "common/limits.hpp"

namespace notp::spool {
namespace {

constexpr std::string_view kMagic = "notpring";
constexpr uint64_t kFormat = 1;
// Each in a page of its own, so that a torn write damages one of them at most.
constexpr uint64_t kSlotBytes = 4096, kUnrecordedAt = 2 * kSlotBytes, kFramesAt = 3 * kSlotBytes;
constexpr size_t kBootIdBytes = 40;
constexpr size_t kHeaderBytes = 8 + 8 * 8 + record::LogId::kSize + kBootIdBytes;
constexpr size_t kUnrecordedBytes = 2 * 8;
constexpr size_t kCheckBytes = 8;
// The page cache keeps what one write made as one piece, and each small write to it visits all of
// its blocks: records written to pieces of 1 MiB take three times as long as to these.
constexpr size_t kZeroStepBytes = 64 << 10;
// Positions whose frames are looked for behind a damaged one.
constexpr uint64_t kHiddenMax = 1 << 20;

void put_number(Bytes& out, uint64_t value, size_t bytes = 8) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t take_number(ByteView& in, size_t bytes = 8) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint64_t{static_cast<uint8_t>(in[i])} << (8 * i);
  in.remove_prefix(bytes);
  return value;
}

uint64_t check_of(ByteView bytes, uint64_t seed = 0) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

Bytes encode_header(const RingHeader& header, uint64_t sequence) {
  Bytes out(kMagic);
  for (const uint64_t value : {kFormat, sequence, header.id, header.capacity, header.first,
                               header.synced, header.written, header.lease})
    put_number(out, value);
  out.append(header.log.view());
  Bytes boot = header.boot_id.substr(0, kBootIdBytes);
  boot.resize(kBootIdBytes, '\0');
  out.append(boot);
  put_number(out, check_of(out));
  return out;
}

std::unexpected<Error> io_error(std::string_view doing, const std::filesystem::path& path) {
  const int error = errno;
  return fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
              fmt::format("cannot {} {}: {}", doing, path.string(), std::strerror(error)));
}

}  // namespace

uint64_t finish_frame(Bytes& frame, record::Position position, uint64_t check_before) {
  Bytes head;
  put_number(head, frame.size() - kFrameHeadBytes, 4);
  put_number(head, 0);
  put_number(head, position);
  frame.replace(0, kFrameHeadBytes, head);
  const uint64_t check = check_of(ByteView(frame).substr(12), check_before);
  Bytes number;
  put_number(number, check);
  frame.replace(4, number.size(), number);
  return check;
}

Result<std::shared_ptr<RingFile>> RingFile::create(const std::filesystem::path& file,
                                                   RingHeader header) {
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  Descriptor opened(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!opened.is_open()) return io_error("create", file);
  std::shared_ptr<RingFile> ring(new RingFile(std::move(opened), file));
  if (auto filled = ring->fill(std::move(header)); !filled) {
    // What it took would be missing to those who can do with less.
    std::filesystem::remove(file, ignored);
    return std::unexpected(std::move(filled).error());
  }
  return ring;
}

// Space that is only reserved could still run out, or be found damaged, at a write.
Result<void> RingFile::fill(RingHeader header) {
  const Bytes zeros(kZeroStepBytes, '\0');
  const uint64_t end = kFramesAt + header.capacity;
  for (uint64_t at = 0; at < end; at += kZeroStepBytes)
    NOTP_TRY(put(at, ByteView(zeros).substr(0, std::min<uint64_t>(kZeroStepBytes, end - at))));
  NOTP_TRY(begin_with(std::move(header)));
  if (::fsync(file_.get()) != 0) return io_error("flush", path_);
  return {};
}

Result<std::shared_ptr<RingFile>> RingFile::open(const std::filesystem::path& file) {
  Descriptor opened(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!opened.is_open() && (errno == EROFS || errno == EACCES))
    opened = Descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!opened.is_open()) return io_error("open", file);
  std::shared_ptr<RingFile> ring(new RingFile(std::move(opened), file));
  bool found = false;
  for (size_t slot = 0; slot < 2; ++slot) {
    uint64_t sequence = 0;
    auto header = ring->read_slot(slot, sequence);
    if (!header || (found && sequence < ring->sequence_)) continue;
    found = true;
    ring->header_ = *std::move(header);
    ring->sequence_ = sequence;
  }
  if (!found)
    return fail(ErrorCode::kCorrupt,
                fmt::format("{}: neither copy of its header is whole", file.string()));
  const auto size = ::lseek(ring->file_.get(), 0, SEEK_END);
  if (size < 0 || static_cast<uint64_t>(size) < kFramesAt + ring->header_.capacity)
    return fail(ErrorCode::kCorrupt, fmt::format("{} was cut off: {} bytes of {}", file.string(),
                                                 size, kFramesAt + ring->header_.capacity));
  return ring;
}

Result<void> RingFile::rename(const std::filesystem::path& to) {
  if (::rename(path_.c_str(), to.c_str()) != 0) return io_error("rename", path_);
  path_ = to;
  return {};
}

std::optional<RingHeader> RingFile::read_slot(size_t slot, uint64_t& sequence) const {
  Bytes bytes(kHeaderBytes + kCheckBytes, '\0');
  if (!get(slot * kSlotBytes, bytes)) return std::nullopt;
  ByteView in = bytes;
  const ByteView covered = in.substr(0, kHeaderBytes);
  if (!in.starts_with(kMagic)) return std::nullopt;
  in.remove_prefix(kMagic.size());
  if (take_number(in) != kFormat) return std::nullopt;
  sequence = take_number(in);
  RingHeader header;
  for (uint64_t* value : {&header.id, &header.capacity, &header.first, &header.synced,
                          &header.written, &header.lease})
    *value = take_number(in);
  header.log = record::LogId::from_bytes(in.substr(0, record::LogId::kSize)).value();
  in.remove_prefix(record::LogId::kSize);
  header.boot_id = in.substr(0, std::min(in.find('\0'), kBootIdBytes));
  in.remove_prefix(kBootIdBytes);
  if (take_number(in) != check_of(covered) || header.capacity == 0) return std::nullopt;
  return header;
}

Result<void> RingFile::write_header(const RingHeader& header) {
  ++sequence_;
  return put(sequence_ % 2 * kSlotBytes, encode_header(header, sequence_));
}

Result<void> RingFile::begin_with(RingHeader header) {
  header_ = std::move(header);
  return write_header(header_);
}

Result<void> RingFile::write(uint64_t offset, ByteView bytes) {
  const uint64_t at = offset % header_.capacity;
  const ByteView before_end =
      bytes.substr(0, std::min<uint64_t>(bytes.size(), header_.capacity - at));
  NOTP_TRY(put(kFramesAt + at, before_end));
  bytes.remove_prefix(before_end.size());
  return bytes.empty() ? Result<void>{} : put(kFramesAt, bytes);
}

Result<void> RingFile::read(uint64_t offset, std::span<char> out) const {
  const uint64_t at = offset % header_.capacity;
  const size_t before_end = std::min<uint64_t>(out.size(), header_.capacity - at);
  NOTP_TRY(get(kFramesAt + at, out.first(before_end)));
  return before_end == out.size() ? Result<void>{} : get(kFramesAt, out.subspan(before_end));
}

Result<void> RingFile::write_unrecorded(const Unrecorded& unrecorded) {
  Bytes out;
  put_number(out, unrecorded.position);
  put_number(out, unrecorded.count);
  put_number(out, check_of(out, header_.id));
  return put(kUnrecordedAt, out);
}

std::optional<Unrecorded> RingFile::read_unrecorded() const {
  Bytes bytes(kUnrecordedBytes + kCheckBytes, '\0');
  if (!get(kUnrecordedAt, bytes)) return std::nullopt;
  ByteView in = bytes;
  const uint64_t check = check_of(in.substr(0, kUnrecordedBytes), header_.id);
  Unrecorded found;
  found.position = take_number(in);
  found.count = take_number(in);
  if (take_number(in) != check) return std::nullopt;
  return found;
}

Result<void> RingFile::sync() {
  if (::fdatasync(file_.get()) != 0) return io_error("flush", path_);
  return {};
}

Result<void> RingFile::put(uint64_t at, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return io_error("write", path_);
    bytes.remove_prefix(static_cast<size_t>(done));
    at += static_cast<uint64_t>(done);
  }
  return {};
}

Result<void> RingFile::get(uint64_t at, std::span<char> out) const {
  while (!out.empty()) {
    const ssize_t done = ::pread(file_.get(), out.data(), out.size(), static_cast<off_t>(at));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return io_error("read", path_);
    if (done == 0) return fail(ErrorCode::kIo, fmt::format("{} was cut off", path_.string()));
    out = out.subspan(static_cast<size_t>(done));
    at += static_cast<uint64_t>(done);
  }
  return {};
}

Result<std::optional<RingReader::Candidate>> RingReader::at(const RingPlace& place) {
  const uint64_t capacity = ring_.header().capacity;
  Candidate out;
  out.frame.bytes.resize(kFrameHeadBytes);
  NOTP_TRY(ring_.read(place.offset, out.frame.bytes));
  ByteView head = out.frame.bytes;
  const uint64_t length = take_number(head, 4);
  out.check = take_number(head);
  out.frame.position = take_number(head);
  if (length == 0 || length > limits::kRecordBytesMax || kFrameHeadBytes + length > capacity)
    return std::nullopt;
  out.frame.bytes.resize(kFrameHeadBytes + length);
  NOTP_TRY(ring_.read(place.offset + kFrameHeadBytes,
                      std::span(out.frame.bytes).subspan(kFrameHeadBytes)));
  out.is_whole = out.frame.position == place.position &&
                 check_of(ByteView(out.frame.bytes).substr(12), place.check) == out.check;
  return out;
}

Result<std::optional<RingReader::Frame>> RingReader::next() {
  NOTP_ASSIGN(auto found, at(place_));
  if (!found || !found->is_whole) return std::nullopt;
  place_ = {place_.ring, place_.offset + found->frame.bytes.size(), place_.position + 1,
            found->check};
  return std::move(found->frame);
}

Result<uint64_t> RingReader::count_hidden() {
  RingPlace place = place_;
  uint64_t hidden = 0;
  for (uint64_t i = 0; i < kHiddenMax; ++i) {
    NOTP_ASSIGN(const auto found, at(place));
    if (!found || place.offset - place_.offset > ring_.header().capacity) break;
    // The first one is known to be damaged; one behind it counts only if it is whole.
    place = {place.ring, place.offset + found->frame.bytes.size(), place.position + 1,
             found->check};
    if (found->is_whole) hidden = place.position - place_.position;
  }
  return hidden;
}

}  // namespace notp::spool
