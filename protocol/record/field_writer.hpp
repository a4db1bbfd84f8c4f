// Writes Protobuf fields straight from the values, several times faster than through the generated
// classes, which allocate for each. Private to protocol/record.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>

#include "common/bytes.hpp"

namespace notp::record {

// Appends to its string. Called in the order of the field numbers it writes the one encoding:
// defaults are left out.
class FieldWriter {
 public:
  explicit FieldWriter(Bytes& out) : out_(out) {}

  // Also of an enum, a bool, and an int64, which Protobuf writes as its two's complement.
  void number(int field, std::integral auto value) {
    if (value == 0) return;
    optional_number(field, std::optional(value));
  }
  template <std::integral T>
  void optional_number(int field, std::optional<T> value) {
    if (!value) return;
    put(static_cast<uint64_t>(field) << 3);
    put(static_cast<uint64_t>(*value));
  }

  void bytes(int field, ByteView value) {
    if (!value.empty()) optional_bytes(field, value);
  }
  void optional_bytes(int field, std::optional<ByteView> value) {
    constexpr uint64_t kLengthDelimited = 2;
    if (!value) return;
    put(static_cast<uint64_t>(field) << 3 | kLengthDelimited);
    put(value->size());
    out_ += *value;
  }

  // What is not UTF-8 is written as printable() shows it: Protobuf refuses to read it.
  void text(int field, ByteView value) {
    bytes(field, is_text(value) ? value : ByteView(printable(value, ByteView::npos)));
  }
  // An element of a repeated field, which is written when it is empty too.
  void element(int field, ByteView value) {
    optional_bytes(field, is_text(value) ? value : ByteView(printable(value, ByteView::npos)));
  }

  // Writes a message that `write(FieldWriter&)` fills, also an empty one.
  void message(int field, auto&& write) {
    Bytes inner;
    FieldWriter writer(inner);
    write(writer);
    optional_bytes(field, inner);
  }

 private:
  void put(uint64_t value) {
    if (value < 0x80)
      out_.push_back(static_cast<char>(value));
    else
      put_varint(out_, value);
  }
  // Nearly all texts are ASCII, which is seen eight bytes at a time.
  static bool is_text(ByteView value) {
    constexpr uint64_t kHighBits = 0x8080'8080'8080'8080;
    size_t at = 0;
    for (uint64_t word = 0; at + sizeof word <= value.size(); at += sizeof word) {
      std::memcpy(&word, value.data() + at, sizeof word);
      if ((word & kHighBits) != 0) break;
    }
    return is_utf8(value.substr(at));
  }

  Bytes& out_;
};

}  // namespace notp::record
