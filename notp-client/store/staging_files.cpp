#include "notp-client/store/staging_files.hpp"

#include <fmt/format.h>

#include <fstream>
#include <optional>

#include "common/crypto/digest.hpp"
#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "notp-client/store/sqlite_rows.hpp"

namespace notp::store {
namespace {

constexpr size_t kLengthBytes = 4, kCheckBytes = 16;
constexpr size_t kHeaderBytesMax = 1 << 10;
// Records hold from one chunk to kStagedPieceBytesMax.
constexpr size_t kFileBytesMax = limits::kPartialBytesMax + (limits::kPartialBytesMax >> 4);

Bytes check_of(const Hash& artifact, uint64_t offset, ByteView bytes) {
  Bytes place(artifact.view());
  put_varint(place, offset);
  Sha256 sum;
  sum.update("notp.staged.v1\0").update(place).update(bytes);
  return Bytes(sum.finish().view().substr(0, kCheckBytes));
}

Bytes record_head(ByteView check, size_t bytes) {
  Bytes out;
  for (size_t i = 0; i < kLengthBytes; ++i) out.push_back(static_cast<char>(bytes >> (8 * i)));
  return out.append(check);
}

struct Record {
  ByteView check, bytes;
};

// nullopt at the end of the file, and at an incomplete record.
std::optional<Record> take_record(ByteView& in, size_t bytes_max) {
  if (in.size() < kLengthBytes + kCheckBytes) return std::nullopt;
  size_t bytes = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) bytes |= size_t{static_cast<uint8_t>(in[i])} << (8 * i);
  if (bytes > bytes_max || bytes > in.size() - kLengthBytes - kCheckBytes) return std::nullopt;
  const Record record{in.substr(kLengthBytes, kCheckBytes),
                      in.substr(kLengthBytes + kCheckBytes, bytes)};
  in.remove_prefix(kLengthBytes + kCheckBytes + bytes);
  return record;
}

Bytes header_of(const StagedPiece& piece) {
  Bytes out;
  put_text(out, piece.ledger.text());
  put_varint(out, piece.version);
  out.append(piece.artifact.view());
  put_varint(out, piece.size);
  return out;
}

Result<StagedPiece> parse_header(ByteView in) {
  StagedPiece piece;
  NOTP_ASSIGN(const uint64_t name_bytes, take_varint(in));
  NOTP_ASSIGN(const ByteView name, take_bytes(in, name_bytes));
  NOTP_ASSIGN(piece.ledger, model::LedgerId::parse(name));
  NOTP_ASSIGN(piece.version, take_varint(in));
  NOTP_ASSIGN(const ByteView artifact, take_bytes(in, Hash{}.view().size()));
  piece.artifact = Hash::from_bytes(artifact).value_or(Hash{});
  NOTP_ASSIGN(piece.size, take_varint(in));
  return piece;
}

// Returns the intact part of the file, and its length in the file.
Result<std::pair<StagedPiece, size_t>> parse_file(ByteView content) {
  ByteView in = content;
  const auto head = take_record(in, kHeaderBytesMax);
  if (!head || head->check != check_of(Hash{}, 0, head->bytes))
    return fail(ErrorCode::kCorrupt, "its header is damaged");
  NOTP_ASSIGN(StagedPiece piece, parse_header(head->bytes));
  size_t whole = content.size() - in.size();
  while (const auto record = take_record(in, limits::kStagedPieceBytesMax)) {
    if (record->check != check_of(piece.artifact, piece.bytes.size(), record->bytes)) break;
    if (record->bytes.size() > piece.size - piece.bytes.size()) break;
    piece.bytes.append(record->bytes);
    whole = content.size() - in.size();
  }
  return std::pair{std::move(piece), whole};
}

}  // namespace

std::filesystem::path StagingFiles::file_of(const model::LedgerId& ledger) const {
  return folder_ / fmt::format("{}-{}", ledger.zone, ledger.name);
}

std::vector<StagedPiece> StagingFiles::load() {
  std::vector<StagedPiece> pieces;
  std::error_code error;
  std::vector<std::filesystem::path> useless;
  for (std::filesystem::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::filesystem::path file = entry->path();
    const auto content = read_file(file, kFileBytesMax);
    auto parsed = content ? parse_file(*content) : std::unexpected(content.error());
    if (!parsed || file != file_of(parsed->first.ledger) || parsed->first.bytes.empty()) {
      useless.push_back(file);
      continue;
    }
    auto& [piece, whole] = *parsed;
    std::error_code not_cut;
    if (whole < content->size()) std::filesystem::resize_file(file, whole, not_cut);
    if (not_cut) {
      useless.push_back(file);
      continue;
    }
    places_[piece.ledger] = {piece.artifact, piece.bytes.size()};
    pieces.push_back(std::move(piece));
  }
  for (const auto& file : useless) std::filesystem::remove(file, error);
  return pieces;
}

Result<void> StagingFiles::write(const StagedPiece& piece) {
  const bool begins = piece.offset == 0;
  auto& place = places_[piece.ledger];
  if (!begins && (place.artifact != piece.artifact || place.bytes != piece.offset)) return {};
  if (begins) {
    place = {};
    NOTP_TRY(make_folders(folder_));
  }
  const auto file = file_of(piece.ledger);
  std::ofstream out(file, std::ios::binary | (begins ? std::ios::trunc : std::ios::app));
  if (begins) {
    const Bytes header = header_of(piece);
    out << record_head(check_of(Hash{}, 0, header), header.size()) << header;
  }
  out << record_head(check_of(piece.artifact, piece.offset, piece.bytes), piece.bytes.size())
      << piece.bytes;
  out.close();
  if (!out) {
    // The file ends at its last complete record.
    places_.erase(piece.ledger);
    return fail(ErrorCode::kIo, fmt::format("cannot stage what has arrived in {}", file.string()));
  }
  place = {piece.artifact, piece.offset + piece.bytes.size()};
  return {};
}

void StagingFiles::drop(const model::LedgerId& ledger) {
  places_.erase(ledger);
  std::error_code gone;
  std::filesystem::remove(file_of(ledger), gone);
}

uint64_t StagingFiles::stored_bytes() const {
  uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    const uint64_t size = entry->file_size(gone);
    if (!gone) bytes += size;
  }
  return bytes;
}

}  // namespace notp::store
