#include "notp-server/registry/git_delta.hpp"

#include <algorithm>

#include "protocol/delta/blob_match.hpp"

namespace notp::registry {
namespace {

// The limit of one instruction.
constexpr uint32_t kCopyBytesMax = 0xffffff;
constexpr uint32_t kLiteralBytesMax = 0x7f;

// Least significant 7 bits first, unlike an object's header in a pack.
void put_size(Bytes& out, size_t size) {
  for (; size >= 0x80; size >>= 7) out.push_back(static_cast<char>(size | 0x80));
  out.push_back(static_cast<char>(size));
}

// Writes the non-zero bytes after a byte that names them. A length is never zero here.
void put_copy(Bytes& out, uint32_t from, uint32_t bytes) {
  const size_t opcode = out.size();
  unsigned named = 0x80;
  out.push_back('\0');
  const auto put = [&](uint32_t value, unsigned first_bit) {
    for (unsigned bit = first_bit; value != 0; value >>= 8, bit <<= 1)
      if ((value & 0xff) != 0) {
        named |= bit;
        out.push_back(static_cast<char>(value));
      }
  };
  put(from, 0x01);
  put(bytes, 0x10);
  out[opcode] = static_cast<char>(named);
}

}  // namespace

GitDelta GitDelta::identity(size_t bytes) {
  GitDelta delta;
  delta.base_bytes_ = bytes;
  delta.add_copy(0, static_cast<uint32_t>(bytes));
  return delta;
}

GitDelta GitDelta::between(ByteView base, ByteView target) {
  const size_t front = delta::common_prefix(base, target);
  const size_t back = delta::common_suffix(base.substr(front), target.substr(front));
  const ByteView base_middle = base.substr(front, base.size() - front - back);
  const ByteView middle = target.substr(front, target.size() - front - back);
  GitDelta delta;
  delta.base_bytes_ = base.size();
  delta.add_copy(0, static_cast<uint32_t>(front));
  size_t done = 0;
  for (const delta::Copy& copy : delta::find_copies(base_middle, middle)) {
    delta.add_literal(middle.substr(done, copy.literal_bytes));
    delta.add_copy(static_cast<uint32_t>(front) + copy.from, copy.bytes);
    done += copy.literal_bytes + copy.bytes;
  }
  delta.add_literal(middle.substr(done));
  delta.add_copy(static_cast<uint32_t>(base.size() - back), static_cast<uint32_t>(back));
  return delta;
}

void GitDelta::add_copy(uint32_t from, uint32_t bytes) {
  if (bytes == 0) return;
  if (!pieces_.empty() && pieces_.back().copy && pieces_.back().from + pieces_.back().bytes == from)
    pieces_.back().bytes += bytes;
  else
    pieces_.push_back({static_cast<uint32_t>(target_bytes_), bytes, from, true});
  target_bytes_ += bytes;
}

void GitDelta::add_literal(ByteView bytes) {
  if (bytes.empty()) return;
  if (!pieces_.empty() && !pieces_.back().copy)
    pieces_.back().bytes += static_cast<uint32_t>(bytes.size());
  else
    pieces_.push_back({static_cast<uint32_t>(target_bytes_), static_cast<uint32_t>(bytes.size()),
                       static_cast<uint32_t>(literals_.size()), false});
  literals_.append(bytes);
  target_bytes_ += bytes.size();
}

GitDelta GitDelta::after(const GitDelta& earlier) const {
  GitDelta both;
  both.base_bytes_ = earlier.base_bytes_;
  for (const Piece& piece : pieces_) {
    if (!piece.copy) {
      both.add_literal(ByteView(literals_).substr(piece.from, piece.bytes));
      continue;
    }
    const uint32_t end = piece.from + piece.bytes;
    auto source = std::ranges::upper_bound(earlier.pieces_, piece.from, {}, &Piece::at) - 1;
    for (uint32_t at = piece.from; at < end; ++source) {
      const uint32_t skipped = at - source->at;
      const uint32_t bytes = std::min(source->bytes - skipped, end - at);
      if (source->copy)
        both.add_copy(source->from + skipped, bytes);
      else
        both.add_literal(ByteView(earlier.literals_).substr(source->from + skipped, bytes));
      at += bytes;
    }
  }
  return both;
}

Bytes GitDelta::encode() const {
  Bytes out;
  put_size(out, base_bytes_);
  put_size(out, target_bytes_);
  for (const Piece& piece : pieces_) {
    const uint32_t most = piece.copy ? kCopyBytesMax : kLiteralBytesMax;
    for (uint32_t done = 0; done < piece.bytes; done += most) {
      const uint32_t bytes = std::min(most, piece.bytes - done);
      if (piece.copy) {
        put_copy(out, piece.from + done, bytes);
      } else {
        out.push_back(static_cast<char>(bytes));
        out.append(literals_, piece.from + done, bytes);
      }
    }
  }
  return out;
}

}  // namespace notp::registry
